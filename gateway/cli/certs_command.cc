#include "cli/certs_command.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "base/format.h"
#include "certs/local_ca.h"
#include "cli/certs_list.h"
#include "config/load.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHowToTrust = R"(
Devices have to trust this root once. On each of them, with a copy of {0}:

  Debian, Ubuntu   sudo cp root.pem /usr/local/share/ca-certificates/sallyport.crt && sudo update-ca-certificates
  Fedora, RHEL     sudo cp root.pem /etc/pki/ca-trust/source/anchors/sallyport.pem && sudo update-ca-trust
  Arch             sudo trust anchor --store root.pem
  macOS            sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain root.pem
  Windows          certutil -addstore -f Root root.pem        (in a terminal opened as administrator)
  Android          Settings, Security, Encryption & credentials, Install a certificate, CA certificate
  iPhone, iPad     open the file, Settings, General, VPN & Device Management, install it; then Settings, General, About,
                   Certificate Trust Settings, and switch it on
  Firefox          Settings, Privacy & Security, View Certificates, Authorities, Import    (it has a list of its own)

Then make a certificate for each name:  sallyport certs issue cloud.home.arpa --config {1}
)";

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

int failed(const Error& error) {
  std::string text = format("sallyport: {}\n", error.text());
  std::fwrite(text.data(), 1, text.size(), stderr);
  return 1;
}

std::string this_machine() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? std::string(name).substr(0, 40) : std::string("this gateway");
}

std::string with_colons(const std::string& hex) {
  std::string text;
  for (size_t i = 0; i < hex.size(); ++i) {
    if (i > 0 && i % 2 == 0) text += ':';
    text += static_cast<char>(hex[i] >= 'a' ? hex[i] - 'a' + 'A' : hex[i]);
  }
  return text;
}

std::string content_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

int run_certs_init_ca(const CertsOptions& options) {
  std::string name = options.ca_name.empty() ? "sallyport CA of " + this_machine() : options.ca_name;
  std::error_code ignored;
  fs::path directory = fs::absolute(options.config_directory, ignored);
  auto made = init_ca(directory, name);
  if (!made) return failed(made.error());
  auto fingerprint = fingerprint_of_file(made->certificate);
  if (!fingerprint) return failed(fingerprint.error());
  print(format("Made a certificate authority for your LAN: {}\n\n", name));
  print(format("  root certificate  {}   (give this one to your devices)\n", made->certificate.string()));
  print(format("  private key       {}   (keep it secret: who has it can pose as any site)\n", made->key.string()));
  print(format("  SHA-256           {}\n\n", with_colons(*fingerprint)));
  print(content_of(made->certificate));
  print(format(kHowToTrust, made->certificate.string(), directory.string()));
  return 0;
}

int run_certs_issue(const CertsOptions& options) {
  config::Config config = config::load(options.config_directory);
  auto made = issue(options.config_directory, config.gateway.certificates.directory,
                    {options.names, options.days, options.client});
  if (!made) return failed(made.error());
  print(format("Wrote {}\n", made->string()));
  auto store = CertStore::load(made->parent_path());
  auto set = store->by_file(made->string());
  if (!set) return failed(set.error());
  for (const auto& certificate : *set)
    print(format("It holds the certificate and its key, for {}, and ends on {}.\n", fmt::join(certificate->names, ", "),
                 expiry_text(*certificate, std::chrono::system_clock::now())));
  print("Issue it again before that day; the same command replaces the file.\n");
  return 0;
}

int run_certs_list(const CertsOptions& options) {
  config::Config config = config::load(options.config_directory);
  auto store = CertStore::load(config.gateway.certificates.directory);
  print(certificate_list(config, *store, std::chrono::system_clock::now()));
  return 0;
}

}  // namespace sallyport
