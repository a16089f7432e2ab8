#include "transport/trust.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>

#include <memory>

#include "base/unique_fd.h"
#include "transport/tls_errors.h"

namespace sallyport {
namespace {

constexpr off_t kMaxTrustFile = 16 * 1024 * 1024;

struct BioDeleter {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioDeleter>;

Error fault(const std::string& file, std::string why) {
  ERR_clear_error();
  return Error{Kind::config, Side::internal, Retry::no, 0, "", file + ": " + std::move(why)};
}

Error system_fault(const std::string& file) {
  Error error = Error::from_errno(errno, Side::internal, Retry::no, "cannot read");
  error.kind = Kind::config;
  error.detail = file;
  return error;
}

// The end of a PEM file is an error of OpenSSL's: "no start line".
bool at_end() {
  unsigned long code = ERR_peek_last_error();
  return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

int no_password(char*, int, int, void*) { return -1; }

}  // namespace

Result<PemText> read_pem(const std::string& file) {
  UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!fd || fstat(fd.get(), &status) != 0) return system_fault(file);
  if (!S_ISREG(status.st_mode)) return fault(file, "not a file");
  if (status.st_size > kMaxTrustFile) return fault(file, "larger than 16 MiB");
  PemText pem{file, {}};
  char buffer[16 * 1024];
  for (;;) {
    ssize_t count = read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_fault(file);
    if (count == 0) return pem;
    pem.text.append(buffer, static_cast<size_t>(count));
    if (pem.text.size() > static_cast<size_t>(kMaxTrustFile)) return fault(file, "larger than 16 MiB");
  }
}

Status trust_certificates(SSL_CTX* context, const PemText& pem, bool names_to_client) {
  ERR_clear_error();
  BioPtr bio(BIO_new_mem_buf(pem.text.data(), static_cast<int>(pem.text.size())));
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  size_t count = 0;
  while (X509* certificate = PEM_read_bio_X509_AUX(bio.get(), nullptr, no_password, nullptr)) {
    bool taken = X509_STORE_add_cert(store, certificate) == 1 &&
                 (!names_to_client || SSL_CTX_add_client_CA(context, certificate) == 1);
    X509_free(certificate);
    if (!taken) return fault(pem.file, tls_error_text());
    ++count;
  }
  if (!at_end()) return fault(pem.file, "broken PEM: " + tls_error_text());
  ERR_clear_error();
  if (count == 0) return fault(pem.file, "holds no certificate");
  // What the user names is trusted as it stands: an intermediate without its root, or a server's own certificate.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  return success();
}

Status check_revocation(SSL_CTX* context, const PemText& pem) {
  ERR_clear_error();
  BioPtr bio(BIO_new_mem_buf(pem.text.data(), static_cast<int>(pem.text.size())));
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  size_t count = 0;
  while (X509_CRL* crl = PEM_read_bio_X509_CRL(bio.get(), nullptr, no_password, nullptr)) {
    bool taken = X509_STORE_add_crl(store, crl) == 1;
    X509_CRL_free(crl);
    if (!taken) return fault(pem.file, tls_error_text());
    ++count;
  }
  if (!at_end()) return fault(pem.file, "broken PEM: " + tls_error_text());
  ERR_clear_error();
  if (count == 0) return fault(pem.file, "holds no revocation list (CRL)");
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return success();
}

}  // namespace sallyport
