// What a certificate says of itself, as text and times.
#pragma once
#include <openssl/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "certs/cert_store.h"

namespace sallyport {

// DNS SANs, normalised, wildcards as "*.example.tld", and IP SANs as text; each once, in the certificate's order. What
// is neither a host name nor a wildcard for one whole label is left out, and so is the CN: no client of today reads it.
std::vector<std::string> names_of(const X509* certificate);
std::string subject_of(const X509* certificate);  // RFC 2253 text, UTF-8, control characters escaped
std::string issuer_of(const X509* certificate);
// Clamped to the years that the clock can hold: a certificate may say 9999.
std::chrono::system_clock::time_point not_before_of(const X509* certificate);
std::chrono::system_clock::time_point not_after_of(const X509* certificate);
std::string fingerprint_of(const X509* certificate);  // SHA-256, lower-case hex
KeyKind kind_of(const EVP_PKEY* key);
// "EC P-256", "RSA 2048", "ED25519".
std::string key_text(const EVP_PKEY* key);
bool is_self_signed(X509* certificate);
// The issuer's name, key identifier and signature fit.
bool issued_by(X509* certificate, X509* issuer);
// Its extended key usage, if it has one, allows it to be a TLS server.
bool may_serve(X509* certificate);

X509Ptr share(X509* certificate);  // a further reference
PkeyPtr share(EVP_PKEY* key);

}  // namespace sallyport
