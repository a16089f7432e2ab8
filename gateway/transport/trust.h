// What a context trusts: certificates and revocation lists out of PEM files, read once and whole.
#pragma once
#include <openssl/ssl.h>

#include <string>

#include "base/result.h"

namespace sallyport {

struct PemText {
  std::string file;
  std::string text;
};

// A trust file of at most 16 MiB. Error: Kind::config, with the file in its detail.
Result<PemText> read_pem(const std::string& file);

// Makes every certificate of the file a trust anchor of the context. names_to_client: they are also listed in the
// CertificateRequest. Error: one is broken, or there is none.
Status trust_certificates(SSL_CTX* context, const PemText& pem, bool names_to_client);

// Checks every certificate of a chain against the lists of the file. Error: one is broken, or there is none.
Status check_revocation(SSL_CTX* context, const PemText& pem);

}  // namespace sallyport
