#include "cli/demo/demo_folder.h"

#include <stdlib.h>

#include <cerrno>
#include <fstream>
#include <vector>

#include "base/format.h"
#include "certs/cert_store.h"
#include "certs/local_ca.h"

namespace sallyport::demo {
namespace {

constexpr int kDays = 30;

constexpr const char* kGateway = R"(# The listeners that always exist, on ports that need no rights.
listeners:
  http:  {{ bind: "127.0.0.1:{http}" }}
  https: {{ bind: "127.0.0.1:{https}" }}
  ssh:   {{ bind: "127.0.0.1:{ssh}" }}
admin: {{ bind: "127.0.0.1:{admin}", socket: off }}
state: state
drain_timeout: 1s
)";

constexpr const char* kPassthrough =
    R"(# TLS goes through as it is: routed by the name in its first message, decrypted by the server.
mode: passthrough
hosts: [passthrough.localhost]
servers: ["127.0.0.1:{}"]
)";

constexpr const char* kEdge =
    R"(# TLS ends at the gateway; the server speaks plain HTTP. certs/ has a certificate for the name.
mode: edge
hosts: [edge.localhost]
servers: ["127.0.0.1:{}"]
)";

constexpr const char* kReencrypt =
    R"(# TLS ends at the gateway and begins anew towards the server, whose certificate is verified.
mode: reencrypt
hosts: [reencrypt.localhost]
servers: ["127.0.0.1:{}"]
server_tls: {{ ca: ca/root.pem, name: reencrypt-server.internal }}
)";

constexpr const char* kHttp = R"(# Plain HTTP on both sides.
mode: http
hosts: [plain.localhost]
servers: ["127.0.0.1:{}"]
)";

constexpr const char* kRedirect = R"(# Answered by the gateway itself.
mode: redirect
hosts: [old.localhost]
redirect: {{ to: "https://edge.localhost:{}" }}
)";

constexpr const char* kSsh =
    R"(# SSH has no host names: one server for a listener. On https it shares the port with TLS.
mode: ssh
listen: [ssh, https]
servers: ["127.0.0.1:{}"]
)";

constexpr const char* kTcp = R"(# Any other protocol, on a port of its own. The server is told who connects.
mode: tcp
listen: "127.0.0.1:{}"
servers: ["127.0.0.1:{}"]
proxy_protocol: v1
)";

Status write(const fs::path& file, const std::string& text) {
  std::error_code ignored;
  fs::create_directories(file.parent_path(), ignored);
  std::ofstream out(file, std::ios::binary);
  out << text;
  out.flush();
  if (out) return success();
  Error error = Error::from_errno(errno, Side::internal, Retry::no, "cannot write");
  error.detail = file.string();
  return error;
}

Result<SampleTls> server_tls(const fs::path& pem, const char* name) {
  auto store = CertStore::load(pem.parent_path());
  auto set = store->by_file(pem.string());
  if (!set) return set.error();
  std::vector<KeyPair> pairs;
  for (const auto& certificate : *set) pairs.push_back({certificate->leaf.get(), {}, certificate->key.get()});
  static constexpr std::string_view kAlpn[] = {"http/1.1"};
  ServerContext options;
  options.certificates = pairs;
  options.alpn = kAlpn;
  options.session_id_context = "demo";
  auto context = make_server_context(options);
  if (!context) return context.error();
  return SampleTls{*context, name};
}

}  // namespace

Result<TemporaryFolder> TemporaryFolder::make() {
  std::error_code failed;
  std::string text = (fs::temp_directory_path(failed) / "sallyport-demo-XXXXXX").string();
  if (failed || mkdtemp(text.data()) == nullptr) {
    Error error =
        Error::from_errno(failed ? failed.value() : errno, Side::internal, Retry::no, "cannot make a temporary folder");
    error.detail = text;
    return error;
  }
  return TemporaryFolder(text);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

Result<DemoCertificates> make_certificates(const fs::path& folder) {
  DemoCertificates made;
  auto ca = init_ca(folder, "sallyport demo CA");
  if (!ca) return ca.error();
  made.root = ca->certificate;
  for (const char* name : {"edge.localhost", "reencrypt.localhost"})
    if (auto leaf = issue(folder, folder / "certs", {{name}, kDays, false}); !leaf) return leaf.error();

  // Not in certs/, which is what the gateway serves.
  constexpr const char* kReencryptName = "reencrypt-server.internal";
  auto reencrypt = issue(folder, folder / "servers" / "reencrypt", {{kReencryptName}, kDays, false});
  if (!reencrypt) return reencrypt.error();
  auto reencrypt_tls = server_tls(*reencrypt, kReencryptName);
  if (!reencrypt_tls) return reencrypt_tls.error();
  made.reencrypt_server = *reencrypt_tls;

  constexpr const char* kPassthroughName = "passthrough.localhost";
  fs::path own = folder / "servers" / "passthrough";
  auto own_ca = init_ca(own, "the passthrough server's own CA");
  if (!own_ca) return own_ca.error();
  made.passthrough_root = own_ca->certificate;
  auto passthrough = issue(own, own, {{kPassthroughName}, kDays, false});
  if (!passthrough) return passthrough.error();
  auto passthrough_tls = server_tls(*passthrough, kPassthroughName);
  if (!passthrough_tls) return passthrough_tls.error();
  made.passthrough_server = *passthrough_tls;
  return made;
}

Status write_configuration(const fs::path& folder, const DemoOptions& options, uint16_t admin_port,
                           const SamplePorts& samples) {
  const std::pair<const char*, std::string> files[] = {
      {"gateway.yaml", fmt::format(kGateway, fmt::arg("http", options.http_port), fmt::arg("https", options.https_port),
                                   fmt::arg("ssh", options.ssh_port), fmt::arg("admin", admin_port))},
      {"conf.d/passthrough.yaml", format(kPassthrough, samples.passthrough)},
      {"conf.d/edge.yaml", format(kEdge, samples.edge)},
      {"conf.d/reencrypt.yaml", format(kReencrypt, samples.reencrypt)},
      {"conf.d/http.yaml", format(kHttp, samples.http)},
      {"conf.d/redirect.yaml", format(kRedirect, options.https_port)},
      {"conf.d/ssh.yaml", format(kSsh, samples.ssh)},
      {"conf.d/tcp.yaml", format(kTcp, options.tcp_port, samples.tcp)},
  };
  for (const auto& [name, text] : files)
    if (auto written = write(folder / name, text); !written) return written;
  return success();
}

}  // namespace sallyport::demo
