// The certificates found in the folder, paired with their keys by public key, and picked by name: exact SAN, then
// wildcard. Built whole by load(), then immutable: the snapshot shares it with every worker.
#pragma once
#include <openssl/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sallyport {

struct X509Deleter {
  void operator()(X509* p) const noexcept;
};
struct PkeyDeleter {
  void operator()(EVP_PKEY* p) const noexcept;
};
using X509Ptr = std::unique_ptr<X509, X509Deleter>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, PkeyDeleter>;

enum class KeyKind : uint8_t { ecdsa, rsa, other };

// A leaf with its chain and key.
struct Certificate {
  std::string file;  // where the leaf stands, relative to the folder
  std::string key_file;
  X509Ptr leaf;
  std::vector<X509Ptr> chain;  // intermediates, in order
  PkeyPtr key;
  KeyKind kind = KeyKind::other;
  std::vector<std::string> names;  // DNS SANs, normalised, wildcards as "*.example.tld"; IP SANs as text
  std::string issuer;
  std::string subject;
  std::chrono::system_clock::time_point not_before, not_after;
  std::string fingerprint;  // SHA-256 of the leaf, hex
};

// Something worth a warning: a key that matches no certificate, a file that cannot be read, a broken PEM.
struct CertProblem {
  std::string file;
  std::string message;
};

// Up to one certificate of each key kind for one name: what one SSL_CTX serves. ECDSA first.
using CertSet = std::vector<std::shared_ptr<const Certificate>>;

class CertStore {
 public:
  // Reads every file below directory (sub-folders and symlinks followed; loops end; anything that is not PEM is passed
  // over). A missing directory is an empty store with a problem. Never fails as a whole.
  // before: the store of before, whose certificates stay where their file is still there but holds nothing that can be
  // served any more: a bad replacement, or one whose key has not arrived yet. That is a problem told.
  static std::shared_ptr<const CertStore> load(const std::filesystem::path& directory,
                                               const CertStore* before = nullptr);

  // For a normalised host name, or an IP address as text: exact, then one-label wildcard; the freshest valid one per
  // key kind. Ones that have expired (or are not valid yet) only where nothing valid matches. Empty: none matches.
  CertSet match(std::string_view host) const;
  // The certificate(s) standing in one file, by path relative to the folder or absolute; ones without names too, and
  // files that stand outside the folder (their key in the same file or beside it). Error: no such file, or no key for
  // what it holds.
  Result<CertSet> by_file(const std::string& file) const;

  // The ones that are served by name: with a key, and with names. In the order of their files.
  const std::vector<std::shared_ptr<const Certificate>>& all() const noexcept { return all_; }
  const std::vector<CertProblem>& problems() const noexcept { return problems_; }

 private:
  friend class CertLoader;
  std::filesystem::path directory_;
  std::vector<std::shared_ptr<const Certificate>> all_;
  std::map<std::string, std::vector<size_t>, std::less<>> by_name_;
  std::map<std::string, CertSet>
      by_file_;  // by relative and by real path; files whose certificates have no key are empty
  std::vector<CertProblem> problems_;
};

// Equal for sets that hold the same certificates with the same chains.
std::string fingerprint_of(const CertSet& set);

}  // namespace sallyport
