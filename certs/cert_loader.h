// Makes a CertStore: walks the folder, reads its files, and pairs certificates with keys. Used once, then thrown away.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "certs/cert_store.h"
#include "certs/pem_file.h"

namespace sallyport {

class CertLoader {
 public:
  explicit CertLoader(const std::filesystem::path& directory);

  // Every file of the folder and of its sub-folders. before: as for CertStore::load.
  std::shared_ptr<const CertStore> folder(const CertStore* before = nullptr);
  // One file, and those beside it for the keys and issuers they may hold. Problems are the file's own.
  std::shared_ptr<const CertStore> single(const std::string& file);

 private:
  struct File {
    std::string shown;  // relative to the folder
    std::string parent;
    bool symlink = false;
    PemFile pem;
    bool extra = false;  // read for its keys and issuers alone
  };
  // A leaf with its key, in the best of the files that hold it.
  struct Found {
    Certificate certificate;
    bool symlink = false;
  };

  void walk(const std::filesystem::path& directory, const std::filesystem::path& shown, int depth);
  void read(const std::filesystem::path& path, std::string shown, bool symlink);
  std::shared_ptr<const CertStore> finish(const CertStore* before = nullptr);
  void keep_from(const CertStore& before);
  void pair_file(size_t index);
  void keep(Found&& found);
  std::vector<X509Ptr> chain_for(X509* leaf, const File& file) const;
  bool find_key(X509* leaf, const File& file, size_t& key_file, EVP_PKEY*& key) const;
  bool usable(const Certificate& certificate);
  void report_lonely_keys();
  void index_names();
  void problem(std::string file, std::string message);

  std::shared_ptr<CertStore> store_;
  std::filesystem::path root_;
  std::vector<File> files_;
  std::set<std::pair<dev_t, ino_t>> folders_;                  // each is read once, however many symlinks lead to it
  std::map<std::string, Found> found_;                         // by fingerprint
  std::map<std::string, std::vector<std::string>> leaves_of_;  // relative path -> fingerprints
};

}  // namespace sallyport
