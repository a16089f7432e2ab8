// Certificates, keys and revocation lists made on the spot, for tests.
#pragma once
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::test {

struct Free {
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509_CRL* p) const { X509_CRL_free(p); }
  void operator()(BIO* p) const { BIO_free(p); }
};
using TestX509 = std::unique_ptr<X509, Free>;
using TestKey = std::unique_ptr<EVP_PKEY, Free>;

enum class Algorithm { p256, rsa2048, rsa1024, ed25519 };

inline TestKey make_key(Algorithm algorithm = Algorithm::p256) {
  switch (algorithm) {
    case Algorithm::rsa2048: return TestKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048}));
    case Algorithm::rsa1024: return TestKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{1024}));
    case Algorithm::ed25519: return TestKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    default: return TestKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  }
}

struct Made {
  TestX509 certificate;
  TestKey key;
};

struct Wanted {
  std::string common_name = "test";
  std::string sans{};  // as openssl's configuration writes them: "DNS:a.example.tld,IP:192.0.2.1"; empty: none
  std::string eku{};   // "serverAuth"; empty: none
  bool ca = false;
  long from_days = -1;
  long to_days = 30;
  Algorithm algorithm = Algorithm::p256;
  EVP_PKEY* key = nullptr;  // this one instead of a fresh one
};

inline void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Signed by issuer; by itself when there is none.
inline Made make_certificate(const Wanted& wanted, const Made* issuer = nullptr) {
  Made made;
  if (wanted.key != nullptr) {
    EVP_PKEY_up_ref(wanted.key);
    made.key.reset(wanted.key);
  } else {
    made.key = make_key(wanted.algorithm);
  }
  static long serial = 1000;
  made.certificate.reset(X509_new());
  X509* x = made.certificate.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), wanted.from_days * 86400);
  X509_gmtime_adj(X509_getm_notAfter(x), wanted.to_days * 86400);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(wanted.common_name.c_str()), -1, -1, 0);
  X509* signer = issuer == nullptr ? x : issuer->certificate.get();
  X509_set_issuer_name(x, X509_get_subject_name(signer));
  X509_set_pubkey(x, made.key.get());
  add_extension(x, signer, NID_basic_constraints, wanted.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  add_extension(x, signer, NID_subject_key_identifier, "hash");
  add_extension(x, signer, NID_authority_key_identifier, "keyid");
  if (wanted.ca) add_extension(x, signer, NID_key_usage, "critical,keyCertSign,cRLSign");
  if (!wanted.sans.empty()) add_extension(x, signer, NID_subject_alt_name, wanted.sans);
  if (!wanted.eku.empty()) add_extension(x, signer, NID_ext_key_usage, wanted.eku);
  EVP_PKEY* signing = issuer == nullptr ? made.key.get() : issuer->key.get();
  X509_sign(x, signing, EVP_PKEY_get_base_id(signing) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256());
  return made;
}

inline std::string text_of(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}
inline std::string pem(const TestX509& certificate) {
  std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate.get());
  return text_of(bio.get());
}
inline std::string pem(const TestKey& key, const char* passphrase = nullptr, bool traditional = false) {
  std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  const EVP_CIPHER* cipher = passphrase == nullptr ? nullptr : EVP_aes_128_cbc();
  auto* secret = reinterpret_cast<unsigned char*>(const_cast<char*>(passphrase));
  int size = passphrase == nullptr ? 0 : static_cast<int>(std::string(passphrase).size());
  if (traditional)
    PEM_write_bio_PrivateKey_traditional(bio.get(), key.get(), cipher, secret, size, nullptr, nullptr);
  else
    PEM_write_bio_PrivateKey(bio.get(), key.get(), cipher, secret, size, nullptr, nullptr);
  return text_of(bio.get());
}

// A revocation list of the issuer's, holding the certificates.
inline std::string crl_pem(const Made& issuer, const std::vector<const X509*>& revoked, long to_days = 30) {
  std::unique_ptr<X509_CRL, Free> crl(X509_CRL_new());
  X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(issuer.certificate.get()));
  ASN1_TIME* time = ASN1_TIME_new();
  X509_gmtime_adj(time, -2 * 86400);
  X509_CRL_set1_lastUpdate(crl.get(), time);
  for (const X509* certificate : revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, const_cast<ASN1_INTEGER*>(X509_get0_serialNumber(certificate)));
    X509_REVOKED_set_revocationDate(entry, time);
    X509_CRL_add0_revoked(crl.get(), entry);
  }
  X509_gmtime_adj(time, to_days * 86400);
  X509_CRL_set1_nextUpdate(crl.get(), time);
  ASN1_TIME_free(time);
  X509_CRL_sign(crl.get(), issuer.key.get(), EVP_sha256());
  std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(bio.get(), crl.get());
  return text_of(bio.get());
}

// A folder of its own, gone at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sallyport-test-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Writes a file below, making its folders. Returns its path.
  std::string write(const std::string& name, const std::string& text) const {
    std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file.string();
  }

 private:
  std::filesystem::path path_;
};

}  // namespace sallyport::test
