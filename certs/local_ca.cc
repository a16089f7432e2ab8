#include "certs/local_ca.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "base/host.h"
#include "base/text.h"
#include "certs/atomic_file.h"
#include "certs/cert_store.h"
#include "certs/pem_file.h"
#include "certs/x509_info.h"
#include "transport/tls_errors.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

constexpr int kRootDays = 3650;
constexpr int kMostDays = 3650;
// Devices at home have clocks that are a little slow.
constexpr long kBackdated = 3600;
constexpr size_t kMaxCommonName = 64;  // ub-common-name, RFC 5280 appendix A

struct BioDeleter {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioDeleter>;

Error fault(std::string detail) {
  ERR_clear_error();
  return Error{Kind::config, Side::internal, Retry::no, 0, "", std::move(detail)};
}

Error openssl_fault(const char* what) { return fault(std::string(what) + ": " + tls_error_text()); }

// 128 random bits, positive and not zero (RFC 5280 section 4.1.2.2).
bool set_serial(X509* certificate) {
  std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_new(), BN_free);
  return number != nullptr && BN_rand(number.get(), 128, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_name(X509* certificate, const std::string& common_name) {
  return common_name.empty() || X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                                           reinterpret_cast<const unsigned char*>(common_name.data()),
                                                           static_cast<int>(common_name.size()), -1, 0) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509V3_set_ctx_nodb(&context);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

// Everything but its extensions and its signature.
X509Ptr begin_certificate(EVP_PKEY* key, const std::string& common_name, int days) {
  X509Ptr certificate(X509_new());
  X509* x = certificate.get();
  bool begun = x != nullptr && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) && set_name(x, common_name) &&
               X509_gmtime_adj(X509_getm_notBefore(x), -kBackdated) != nullptr &&
               X509_time_adj_ex(X509_getm_notAfter(x), days, 0, nullptr) != nullptr && X509_set_pubkey(x, key) == 1;
  return begun ? std::move(certificate) : nullptr;
}

PkeyPtr new_key() { return PkeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")); }

std::string text_of(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

std::string pem_of(X509* certificate) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  return PEM_write_bio_X509(bio.get(), certificate) == 1 ? text_of(bio.get()) : std::string();
}

std::string pem_of(EVP_PKEY* key) {
  BioPtr bio(BIO_new(BIO_s_secmem()));
  bool written = PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1;
  return written ? text_of(bio.get()) : std::string();
}

Result<std::string> checked_name(const std::string& name) {
  std::string text = name;
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  if (is_ip_literal(text)) return text;
  std::string_view host = text;
  if (host.starts_with("*.")) host.remove_prefix(2);
  // Digits and dots alone are a mistyped address: no name ends in a label of digits (RFC 3696 section 2).
  std::string normal = normalized_host(text);
  std::string_view last = std::string_view(normal).substr(normal.rfind('.') + 1);
  bool digits = std::all_of(last.begin(), last.end(), is_digit);
  if (is_host_name(host) && !digits) return normal;
  return fault("\"" + escaped(name) +
               "\" is neither a host name, nor a wildcard such as *.home.arpa, nor an IP address");
}

std::string subject_alternatives(const std::vector<std::string>& names) {
  std::string value;
  for (const std::string& name : names) {
    if (!value.empty()) value += ',';
    value += (is_ip_literal(name) ? "IP:" : "DNS:") + name;
  }
  return value;
}

// A wildcard and an IPv6 address have characters that shells and some file systems trip over.
std::string file_name_for(const std::string& name) {
  std::string text = name.starts_with("*.") ? "_wildcard" + name.substr(1) : name;
  std::replace(text.begin(), text.end(), ':', '-');
  return text.substr(0, 200) + ".pem";  // file names end at 255 bytes
}

struct Root {
  X509Ptr certificate;
  PkeyPtr key;
};

Result<Root> read_root(const fs::path& config_directory) {
  LocalCa paths = local_ca_paths(config_directory);
  std::error_code failed;
  if (!fs::exists(paths.certificate, failed) && !fs::exists(paths.key, failed))
    return fault("there is no local CA in " + paths.certificate.parent_path().string() +
                 "; make one with: sallyport certs init-ca");
  PemFile certificate = read_pem_file(paths.certificate);
  PemFile key = read_pem_file(paths.key);
  if (!certificate.problems.empty()) return fault(paths.certificate.string() + ": " + certificate.problems[0]);
  if (!key.problems.empty()) return fault(paths.key.string() + ": " + key.problems[0]);
  if (certificate.certificates.empty()) return fault(paths.certificate.string() + ": holds no certificate");
  if (key.keys.empty()) return fault(paths.key.string() + ": holds no private key");
  Root root{std::move(certificate.certificates[0]), std::move(key.keys[0])};
  if (X509_check_private_key(root.certificate.get(), root.key.get()) != 1)
    return fault(paths.key.string() + ": is not the key of " + paths.certificate.string());
  if (X509_check_ca(root.certificate.get()) != 1)
    return fault(paths.certificate.string() + ": is not a CA certificate");
  if (X509_cmp_time(X509_get0_notAfter(root.certificate.get()), nullptr) <= 0)
    return fault(paths.certificate.string() + ": has expired");
  return root;
}

bool finish_leaf(X509* leaf, const Root& root, const LeafRequest& request, const std::vector<std::string>& names) {
  X509* issuer = root.certificate.get();
  bool named = X509_NAME_entry_count(X509_get_subject_name(leaf)) > 0;
  // A leaf that outlives its root is refused by some clients.
  const ASN1_TIME* last = X509_get0_notAfter(issuer);
  bool in_time = ASN1_TIME_compare(X509_get0_notAfter(leaf), last) <= 0 || X509_set1_notAfter(leaf, last) == 1;
  return in_time && X509_set_issuer_name(leaf, X509_get_subject_name(issuer)) == 1 &&
         add_extension(leaf, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(leaf, issuer, NID_key_usage, "critical,digitalSignature") &&
         add_extension(leaf, issuer, NID_ext_key_usage, request.client ? "serverAuth,clientAuth" : "serverAuth") &&
         add_extension(leaf, issuer, NID_subject_key_identifier, "hash") &&
         add_extension(leaf, issuer, NID_authority_key_identifier, "keyid:always") &&
         // RFC 5280 section 4.2.1.6: critical where the subject is empty.
         add_extension(leaf, issuer, NID_subject_alt_name, (named ? "" : "critical,") + subject_alternatives(names)) &&
         X509_sign(leaf, root.key.get(), EVP_sha256()) > 0;
}

Status make_folder(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (!failed) return success();
  Error error = Error::from_errno(failed.value(), Side::internal, Retry::no, "cannot make the folder");
  error.detail = folder.string();
  return error;
}

}  // namespace

LocalCa local_ca_paths(const fs::path& config_directory) {
  return {config_directory / "ca" / "root.pem", config_directory / "ca" / "root.key"};
}

Result<LocalCa> init_ca(const fs::path& config_directory, const std::string& common_name) {
  LocalCa paths = local_ca_paths(config_directory);
  if (common_name.empty() || common_name.size() > kMaxCommonName) return fault("the CA's name must have 1 to 64 bytes");
  std::error_code failed;
  if (fs::exists(fs::symlink_status(paths.key, failed)) && !fs::exists(fs::symlink_status(paths.certificate, failed)))
    return fault(paths.key.string() + " is there without its certificate, " + paths.certificate.string() +
                 ": an earlier init-ca was cut off, or the certificate was moved away. Put it back, or remove the key and try "
                 "again");
  for (const fs::path& file : {paths.certificate, paths.key})
    if (fs::exists(fs::symlink_status(file, failed)))
      return fault(file.string() +
                   " is there already. A new root would make every device that trusts the old one distrust "
                   "what it signed; move the old one away first if that is what you want");
  ERR_clear_error();
  PkeyPtr key = new_key();
  X509Ptr root = key == nullptr ? nullptr : begin_certificate(key.get(), common_name, kRootDays);
  if (root == nullptr) return openssl_fault("cannot make the root certificate");
  X509* x = root.get();
  bool made = X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
              add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
              add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
              add_extension(x, x, NID_subject_key_identifier, "hash") &&
              add_extension(x, x, NID_authority_key_identifier, "keyid:always") &&
              X509_sign(x, key.get(), EVP_sha256()) > 0;
  if (!made) return openssl_fault("cannot make the root certificate");

  if (auto folder = make_folder(paths.key.parent_path()); !folder) return folder.error();
  std::string secret = pem_of(key.get());
  auto key_written = write_atomically(paths.key, secret, 0600, Existing::refuse);
  OPENSSL_cleanse(secret.data(), secret.size());
  if (!key_written) return key_written.error();
  auto written = write_atomically(paths.certificate, pem_of(x), 0644, Existing::refuse);
  if (!written) {
    fs::remove(paths.key, failed);  // a key without its certificate would be in the way of the next attempt
    return written.error();
  }
  return paths;
}

Result<std::string> fingerprint_of_file(const fs::path& file) {
  PemFile pem = read_pem_file(file);
  if (pem.certificates.empty())
    return fault(file.string() + ": " + (pem.problems.empty() ? "holds no certificate" : pem.problems[0]));
  return fingerprint_of(pem.certificates[0].get());
}

Result<fs::path> issue(const fs::path& config_directory, const fs::path& certs_directory, const LeafRequest& request) {
  if (request.names.empty()) return fault("at least one name is needed");
  if (request.days < 1 || request.days > kMostDays)
    return fault("a certificate is good for 1 to " + std::to_string(kMostDays) + " days");
  std::vector<std::string> names;
  for (const std::string& name : request.names) {
    auto checked = checked_name(name);
    if (!checked) return checked.error();
    if (std::find(names.begin(), names.end(), *checked) == names.end()) names.push_back(*checked);
  }
  ERR_clear_error();
  auto root = read_root(config_directory);
  if (!root) return root.error();
  PkeyPtr key = new_key();
  X509Ptr leaf =
      key == nullptr
          ? nullptr
          : begin_certificate(key.get(), names[0].size() <= kMaxCommonName ? names[0] : std::string(), request.days);
  if (leaf == nullptr || !finish_leaf(leaf.get(), *root, request, names))
    return openssl_fault("cannot make the certificate");

  if (auto folder = make_folder(certs_directory); !folder) return folder.error();
  fs::path file = certs_directory / file_name_for(names[0]);
  std::string secret = pem_of(key.get());
  std::string text = pem_of(leaf.get()) + secret;
  auto written = write_atomically(file, text, 0600, Existing::replace);
  OPENSSL_cleanse(secret.data(), secret.size());
  OPENSSL_cleanse(text.data(), text.size());
  if (!written) return written.error();
  return file;
}

}  // namespace sallyport
