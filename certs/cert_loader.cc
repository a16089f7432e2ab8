#include "certs/cert_loader.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "certs/x509_info.h"
#include "transport/tls_context.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 16;
constexpr size_t kMaxFiles = 10'000;
constexpr size_t kMaxChain = 8;

std::string words_for(int sys) { return Error::from_errno(sys, Side::internal, Retry::no, "cannot be read").text(); }

bool fits(X509* certificate, const EVP_PKEY* key) {
  const EVP_PKEY* own = X509_get0_pubkey(certificate);
  bool answer = own != nullptr && EVP_PKEY_get_base_id(own) == EVP_PKEY_get_base_id(key) && EVP_PKEY_eq(own, key) == 1;
  ERR_clear_error();
  return answer;
}

}  // namespace

CertLoader::CertLoader(const fs::path& directory) : store_(std::make_shared<CertStore>()) {
  std::error_code failed;
  root_ = fs::absolute(directory, failed).lexically_normal();
  if (root_.filename().empty() && root_.has_relative_path()) root_ = root_.parent_path();  // "certs/" is "certs"
  store_->directory_ = root_;
}

std::shared_ptr<const CertStore> CertLoader::folder(const CertStore* before) {
  walk(root_, {}, 0);
  return finish(before != nullptr && before->directory_ == root_ ? before : nullptr);
}

std::shared_ptr<const CertStore> CertLoader::single(const std::string& file) {
  read(root_ / file, file, false);
  std::error_code failed;
  std::vector<std::string> beside;
  for (fs::directory_iterator entry(root_, failed), end; !failed && entry != end; entry.increment(failed))
    if (entry->is_regular_file(failed) && entry->path().filename() != file)
      beside.push_back(entry->path().filename().string());
  std::sort(beside.begin(), beside.end());
  for (std::string& name : beside) {
    size_t before = files_.size();
    read(root_ / name, name, false);
    if (files_.size() > before) files_.back().extra = true;
  }
  return finish();
}

void CertLoader::problem(std::string file, std::string message) {
  store_->problems_.push_back({std::move(file), std::move(message)});
}

void CertLoader::walk(const fs::path& directory, const fs::path& shown, int depth) {
  std::string name = shown.empty() ? directory.string() : shown.string();
  struct stat status {};
  if (stat(directory.c_str(), &status) != 0) return problem(std::move(name), words_for(errno));
  if (!folders_.emplace(status.st_dev, status.st_ino).second) return;
  if (depth > kMaxDepth) return problem(std::move(name), "is nested too deeply, and was not read");
  std::error_code failed;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator entry(directory, failed), end; !failed && entry != end; entry.increment(failed))
    entries.push_back(*entry);
  if (failed) problem(name, words_for(failed.value()));
  std::sort(entries.begin(), entries.end());
  for (const fs::directory_entry& entry : entries) {
    fs::path below = shown / entry.path().filename();
    // Hidden: editors' swap files, version control, and the folders that Kubernetes links its visible files to.
    if (entry.path().filename().string().starts_with(".")) continue;
    std::error_code unknown;
    bool symlink = entry.is_symlink(unknown);
    if (stat(entry.path().c_str(), &status) != 0) {
      problem(below.string(), words_for(errno));
    } else if (S_ISDIR(status.st_mode)) {
      walk(entry.path(), below, depth + 1);
    } else if (S_ISREG(status.st_mode)) {
      read(entry.path(), below.string(), symlink);
    }
  }
}

void CertLoader::read(const fs::path& path, std::string shown, bool symlink) {
  if (files_.size() >= kMaxFiles) return;
  PemFile pem = read_pem_file(path);
  for (std::string& message : pem.problems) problem(shown, std::move(message));
  if (pem.certificates.empty() && pem.keys.empty()) return;
  files_.push_back({std::move(shown), path.parent_path().string(), symlink, std::move(pem), false});
}

std::shared_ptr<const CertStore> CertLoader::finish(const CertStore* before) {
  for (size_t i = 0; i < files_.size(); ++i)
    if (!files_[i].extra) pair_file(i);
  report_lonely_keys();

  std::map<std::string, std::shared_ptr<const Certificate>> by_fingerprint;
  for (auto& [fingerprint, found] : found_)
    by_fingerprint[fingerprint] = std::make_shared<const Certificate>(std::move(found.certificate));
  for (const auto& [file, fingerprints] : leaves_of_) {
    CertSet set;
    for (const std::string& fingerprint : fingerprints) set.push_back(by_fingerprint.at(fingerprint));
    std::error_code failed;
    store_->by_file_[fs::weakly_canonical(root_ / file, failed).string()] = set;
    store_->by_file_[file] = std::move(set);
  }
  for (const auto& [fingerprint, certificate] : by_fingerprint)
    if (!certificate->names.empty() && may_serve(certificate->leaf.get()) && usable(*certificate))
      store_->all_.push_back(certificate);
  if (before != nullptr) keep_from(*before);
  std::sort(store_->all_.begin(), store_->all_.end(), [](const auto& a, const auto& b) {
    return std::tie(a->file, a->fingerprint) < std::tie(b->file, b->fingerprint);
  });
  index_names();
  return store_;
}

void CertLoader::keep_from(const CertStore& before) {
  for (const auto& [file, set] : before.by_file_) {
    if (set.empty() || fs::path(file).is_absolute()) continue;
    const auto now = store_->by_file_.find(file);
    std::error_code failed;
    if ((now != store_->by_file_.end() && !now->second.empty()) || !fs::is_regular_file(root_ / file, failed)) continue;
    // What was served before may stand in a file of another name now.
    CertSet kept;
    for (const auto& certificate : set)
      if (!found_.contains(certificate->fingerprint)) kept.push_back(certificate);
    if (kept.empty()) continue;
    for (const auto& certificate : kept) {
      const bool was_served = std::find(before.all_.begin(), before.all_.end(), certificate) != before.all_.end();
      const bool is_there = std::find(store_->all_.begin(), store_->all_.end(), certificate) != store_->all_.end();
      if (was_served && !is_there && certificate->file == file) store_->all_.push_back(certificate);
    }
    store_->by_file_[fs::weakly_canonical(root_ / file, failed).string()] = kept;
    store_->by_file_[file] = std::move(kept);
    problem(file, "holds nothing that can be served now: the certificate of before goes on");
  }
}

// A key too short or a signature too old for the library must not take the certificates beside it down.
bool CertLoader::usable(const Certificate& certificate) {
  std::vector<X509*> chain;
  for (const X509Ptr& issuer : certificate.chain) chain.push_back(issuer.get());
  KeyPair pair{certificate.leaf.get(), chain, certificate.key.get()};
  ServerContext trial;
  trial.certificates = {&pair, 1};
  auto made = make_server_context(trial);
  if (!made) problem(certificate.file, "cannot be served: " + made.error().detail);
  return made.ok();
}

void CertLoader::index_names() {
  for (size_t i = 0; i < store_->all_.size(); ++i)
    for (const std::string& name : store_->all_[i]->names) store_->by_name_[name].push_back(i);
}

void CertLoader::pair_file(size_t index) {
  const File& file = files_[index];
  if (file.pem.certificates.empty()) return;
  std::vector<std::string>& leaves = leaves_of_[file.shown];
  for (const X509Ptr& leaf : file.pem.certificates) {
    size_t key_file = 0;
    EVP_PKEY* key = nullptr;
    if (!find_key(leaf.get(), file, key_file, key)) continue;
    Found found;
    found.symlink = file.symlink;
    Certificate& certificate = found.certificate;
    certificate.file = file.shown;
    certificate.key_file = files_[key_file].shown;
    certificate.leaf = share(leaf.get());
    certificate.chain = chain_for(leaf.get(), file);
    certificate.key = share(key);
    certificate.kind = kind_of(key);
    certificate.names = names_of(leaf.get());
    certificate.issuer = issuer_of(leaf.get());
    certificate.subject = subject_of(leaf.get());
    certificate.not_before = not_before_of(leaf.get());
    certificate.not_after = not_after_of(leaf.get());
    certificate.fingerprint = fingerprint_of(leaf.get());
    if (std::find(leaves.begin(), leaves.end(), certificate.fingerprint) == leaves.end())
      leaves.push_back(certificate.fingerprint);
    keep(std::move(found));
  }
}

// The same leaf stands in several files (cert.pem and fullchain.pem; archive/ and live/): the one with more of its
// chain is used, then the one that a symlink names, as that is where a user looks.
void CertLoader::keep(Found&& found) {
  Found& kept = found_[found.certificate.fingerprint];
  auto rank = [](const Found& one) { return std::pair(one.certificate.chain.size(), one.symlink); };
  if (kept.certificate.leaf == nullptr || rank(found) > rank(kept)) kept = std::move(found);
}

// The file's own key, then one from the same folder, then any.
bool CertLoader::find_key(X509* leaf, const File& file, size_t& key_file, EVP_PKEY*& key) const {
  for (int distance = 0; distance < 3; ++distance) {
    for (size_t i = 0; i < files_.size(); ++i) {
      int apart = &files_[i] == &file ? 0 : files_[i].parent == file.parent ? 1 : 2;
      if (apart != distance) continue;
      for (const PkeyPtr& candidate : files_[i].pem.keys) {
        if (!fits(leaf, candidate.get())) continue;
        key_file = i;
        key = candidate.get();
        return true;
      }
    }
  }
  return false;
}

// Issuers out of the leaf's own file, then out of those beside it (chain.pem). A root is left out: who trusts it has
// it.
std::vector<X509Ptr> CertLoader::chain_for(X509* leaf, const File& file) const {
  std::vector<X509Ptr> chain;
  X509* last = leaf;
  auto next = [&](const File& from) -> X509* {
    for (const X509Ptr& candidate : from.pem.certificates) {
      bool used = candidate.get() == leaf || std::any_of(chain.begin(), chain.end(), [&](const X509Ptr& one) {
                    return X509_cmp(one.get(), candidate.get()) == 0;
                  });
      if (!used && issued_by(last, candidate.get()) && !is_self_signed(candidate.get())) return candidate.get();
    }
    return nullptr;
  };
  while (chain.size() < kMaxChain && !is_self_signed(last)) {
    X509* issuer = next(file);
    for (size_t i = 0; issuer == nullptr && i < files_.size(); ++i)
      if (files_[i].parent == file.parent) issuer = next(files_[i]);
    if (issuer == nullptr) break;
    chain.push_back(share(issuer));
    last = issuer;
  }
  return chain;
}

void CertLoader::report_lonely_keys() {
  for (const File& file : files_) {
    if (file.extra) continue;
    for (const PkeyPtr& key : file.pem.keys) {
      bool used = std::any_of(files_.begin(), files_.end(), [&](const File& other) {
        return std::any_of(other.pem.certificates.begin(), other.pem.certificates.end(),
                           [&](const X509Ptr& certificate) { return fits(certificate.get(), key.get()); });
      });
      if (!used) problem(file.shown, "its private key belongs to no certificate here");
    }
  }
}

}  // namespace sallyport
