#include "certs/pem_file.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/unique_fd.h"
#include "transport/tls_errors.h"

namespace sallyport {
namespace {

constexpr size_t kMaxPemFile = 1024 * 1024;

std::string cannot_read(int sys) { return Error::from_errno(sys, Side::internal, Retry::no, "cannot be read").text(); }

// May hold a private key: wiped when it goes.
struct Secret {
  std::string text;
  ~Secret() { OPENSSL_cleanse(text.data(), text.size()); }
};

// False: nothing to parse; a problem tells why, if there is one to tell.
bool read_whole(const std::filesystem::path& path, std::string& out, std::vector<std::string>& problems) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status {};
  if (!fd || fstat(fd.get(), &status) != 0) {
    problems.push_back(cannot_read(errno));
    return false;
  }
  if (!S_ISREG(status.st_mode)) return false;
  if (status.st_size > static_cast<off_t>(kMaxPemFile)) {
    problems.emplace_back("is larger than 1 MiB, and was not read");
    return false;
  }
  // One more than the size shows a file that grows meanwhile; the buffer never moves, so no copy of a key is left
  // behind.
  out.resize(static_cast<size_t>(status.st_size) + 1);
  size_t used = 0;
  while (used < out.size()) {
    ssize_t count = read(fd.get(), out.data() + used, out.size() - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      problems.push_back(cannot_read(errno));
      return false;
    }
    if (count == 0) break;
    used += static_cast<size_t>(count);
  }
  out.resize(used);
  return true;
}

// One block of a PEM file, freed when it goes.
struct Block {
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  ~Block() {
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<size_t>(size));
  }
};

void take_certificate(const Block& block, bool trusted, PemFile& file) {
  const unsigned char* at = block.data;
  X509Ptr certificate(trusted ? d2i_X509_AUX(nullptr, &at, block.size) : d2i_X509(nullptr, &at, block.size));
  if (certificate == nullptr)
    file.problems.push_back("holds a broken certificate: " + tls_error_text());
  else
    file.certificates.push_back(std::move(certificate));
}

void take_key(const Block& block, PemFile& file) {
  const unsigned char* at = block.data;
  PkeyPtr key(d2i_AutoPrivateKey(nullptr, &at, block.size));
  if (key == nullptr)
    file.problems.push_back("holds a broken private key: " + tls_error_text());
  else
    file.keys.push_back(std::move(key));
}

void take(const Block& block, PemFile& file) {
  std::string_view name = block.name;
  if (name == PEM_STRING_X509 || name == PEM_STRING_X509_OLD) return take_certificate(block, false, file);
  if (name == PEM_STRING_X509_TRUSTED) return take_certificate(block, true, file);
  if (!name.ends_with("PRIVATE KEY")) return;
  bool encrypted =
      name == PEM_STRING_PKCS8 || std::string_view(block.header).find("ENCRYPTED") != std::string_view::npos;
  if (encrypted)
    file.problems.emplace_back("holds an encrypted private key; store it without a passphrase");
  else if (name != "OPENSSH PRIVATE KEY")
    take_key(block, file);
}

}  // namespace

PemFile read_pem_file(const std::filesystem::path& path) {
  PemFile file;
  Secret secret;
  if (!read_whole(path, secret.text, file.problems)) return file;
  if (secret.text.find("-----BEGIN ") == std::string::npos) return file;
  ERR_clear_error();
  BIO* bio = BIO_new_mem_buf(secret.text.data(), static_cast<int>(secret.text.size()));
  for (;;) {
    Block block;
    if (PEM_read_bio(bio, &block.name, &block.header, &block.data, &block.size) == 1) {
      take(block, file);
      continue;
    }
    unsigned long code = ERR_peek_last_error();
    bool end = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    if (!end) file.problems.push_back("holds broken PEM: " + tls_error_text());
    break;
  }
  BIO_free(bio);
  ERR_clear_error();
  return file;
}

}  // namespace sallyport
