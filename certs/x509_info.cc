#include "certs/x509_info.h"

#include <arpa/inet.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>

#include "base/host.h"

namespace sallyport {
namespace {

constexpr time_t kLatest = 7'258'118'400;  // 2200-01-01

std::string name_text(const X509_NAME* name) {
  BIO* out = BIO_new(BIO_s_mem());
  std::string text;
  // UTF-8 stays as it is; control characters are escaped.
  if (X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB)) >= 0) {
    char* data = nullptr;
    long size = BIO_get_mem_data(out, &data);
    if (size > 0) text.assign(data, static_cast<size_t>(size));
  }
  BIO_free(out);
  return text;
}

std::chrono::system_clock::time_point time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::system_clock::from_time_t(std::clamp<time_t>(timegm(&parts), 0, kLatest));
}

// "" if a client could never ask for it.
std::string dns_name(const ASN1_STRING* value) {
  std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                        static_cast<size_t>(ASN1_STRING_length(value)));
  bool wildcard = text.starts_with("*.");
  if (!is_host_name(wildcard ? text.substr(2) : text)) return {};
  return normalized_host(text);
}

std::string ip_name(const ASN1_STRING* value) {
  int size = ASN1_STRING_length(value);
  if (size != 4 && size != 16) return {};
  char text[INET6_ADDRSTRLEN];
  const char* written = inet_ntop(size == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value), text, sizeof text);
  return written == nullptr ? std::string() : std::string(written);
}

}  // namespace

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> names;
  auto* sans = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(sans); ++i) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(sans, i), &type));
    std::string name = type == GEN_DNS ? dns_name(value) : type == GEN_IPADD ? ip_name(value) : std::string();
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  GENERAL_NAMES_free(sans);
  ERR_clear_error();
  return names;
}

std::string subject_of(const X509* certificate) { return name_text(X509_get_subject_name(certificate)); }
std::string issuer_of(const X509* certificate) { return name_text(X509_get_issuer_name(certificate)); }

std::chrono::system_clock::time_point not_before_of(const X509* certificate) {
  return time_of(X509_get0_notBefore(certificate));
}
std::chrono::system_clock::time_point not_after_of(const X509* certificate) {
  return time_of(X509_get0_notAfter(certificate));
}

std::string fingerprint_of(const X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return {};
  constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kHex[digest[i] >> 4];
    text += kHex[digest[i] & 15];
  }
  return text;
}

KeyKind kind_of(const EVP_PKEY* key) {
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC: return KeyKind::ecdsa;
    case EVP_PKEY_RSA: return KeyKind::rsa;
    default: return KeyKind::other;
  }
}

std::string key_text(const EVP_PKEY* key) {
  if (key == nullptr) return {};
  if (kind_of(key) == KeyKind::rsa) return "RSA " + std::to_string(EVP_PKEY_get_bits(key));
  if (kind_of(key) == KeyKind::ecdsa) {
    char group[64] = {};
    size_t size = 0;
    if (EVP_PKEY_get_group_name(key, group, sizeof group, &size) != 1) return "EC";
    const std::string_view name(group, size);
    // NIST's names are the ones that people know (FIPS 186-5).
    if (name == "prime256v1") return "EC P-256";
    if (name == "secp384r1") return "EC P-384";
    if (name == "secp521r1") return "EC P-521";
    return "EC " + std::string(name);
  }
  const char* name = EVP_PKEY_get0_type_name(key);
  return name != nullptr ? name : "";
}

bool is_self_signed(X509* certificate) {
  bool answer = X509_self_signed(certificate, 0) == 1;
  ERR_clear_error();
  return answer;
}

bool issued_by(X509* certificate, X509* issuer) {
  bool answer =
      X509_check_issued(issuer, certificate) == X509_V_OK && X509_verify(certificate, X509_get0_pubkey(issuer)) == 1;
  ERR_clear_error();
  return answer;
}

bool may_serve(X509* certificate) {
  uint32_t usage = X509_get_extended_key_usage(certificate);
  return usage == UINT32_MAX || (usage & (XKU_SSL_SERVER | XKU_ANYEKU)) != 0;
}

X509Ptr share(X509* certificate) {
  X509_up_ref(certificate);
  return X509Ptr(certificate);
}

PkeyPtr share(EVP_PKEY* key) {
  EVP_PKEY_up_ref(key);
  return PkeyPtr(key);
}

}  // namespace sallyport
