#include "certs/local_ca.h"

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "catch.h"
#include "certs/atomic_file.h"
#include "certs/cert_store.h"
#include "certs/pem_file.h"
#include "certs/x509_info.h"
#include "holding.h"
#include "test_certificates.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;
using test::holding;
using test::TemporaryFolder;

unsigned mode_of(const fs::path& file) {
  struct stat status {};
  stat(file.c_str(), &status);
  return status.st_mode & 07777;
}

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

// "ok", or why a strict client would refuse it.
std::string verified(X509* leaf, X509* root, int purpose, const char* name) {
  X509_STORE* store = X509_STORE_new();
  X509_STORE_add_cert(store, root);
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  X509_STORE_CTX_init(context, store, leaf, nullptr);
  X509_VERIFY_PARAM* wanted = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_flags(wanted, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
  X509_VERIFY_PARAM_set_auth_level(wanted, 2);
  X509_STORE_CTX_set_purpose(context, purpose);
  if (name != nullptr && X509_VERIFY_PARAM_set1_ip_asc(wanted, name) != 1) X509_VERIFY_PARAM_set1_host(wanted, name, 0);
  std::string answer =
      X509_verify_cert(context) == 1 ? "ok" : X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  return answer;
}

std::string serial_of(const X509* certificate) {
  BIGNUM* number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr);
  CHECK(BN_num_bits(number) == 128);
  CHECK(!BN_is_negative(number));
  char* hex = BN_bn2hex(number);
  std::string text = hex;
  OPENSSL_free(hex);
  BN_free(number);
  return text;
}

bool critical(X509* certificate, int kind) {
  int at = X509_get_ext_by_NID(certificate, kind, -1);
  return at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(certificate, at)) == 1;
}

}  // namespace

TEST_CASE("local CA: the root is a CA for one level, its key is private, and it is never replaced") {
  TemporaryFolder folder;
  auto made = init_ca(folder.path(), "Home CA");
  REQUIRE(made.ok());
  CHECK(made->certificate == folder.path() / "ca/root.pem");
  CHECK(made->key == folder.path() / "ca/root.key");
  CHECK(mode_of(made->certificate) == 0644);
  CHECK(mode_of(made->key) == 0600);
  PemFile file = read_pem_file(made->certificate);
  REQUIRE(file.certificates.size() == 1);
  CHECK(file.keys.empty());
  X509* root = file.certificates[0].get();
  CHECK(subject_of(root) == "CN=Home CA");
  CHECK(is_self_signed(root));
  CHECK(X509_get_pathlen(root) == 0);
  CHECK((X509_get_extension_flags(root) & EXFLAG_CA) != 0);
  CHECK(X509_get_key_usage(root) == (KU_KEY_CERT_SIGN | KU_CRL_SIGN));
  CHECK(critical(root, NID_basic_constraints));
  CHECK(critical(root, NID_key_usage));
  CHECK(X509_get0_subject_key_id(root) != nullptr);
  CHECK(not_before_of(root) < std::chrono::system_clock::now());
  auto days =
      std::chrono::duration_cast<std::chrono::hours>(not_after_of(root) - std::chrono::system_clock::now()).count() /
      24;
  CHECK(days >= 3649);
  CHECK(verified(root, root, X509_PURPOSE_ANY, nullptr) == "ok");

  std::string before = text_of(made->key) + text_of(made->certificate);
  auto again = init_ca(folder.path(), "Home CA");
  REQUIRE(!again.ok());
  CHECK_THAT(again.error().text(), holding("is there already"));
  fs::remove(made->certificate);
  CHECK(!init_ca(folder.path(), "Home CA").ok());  // a key alone counts as well
  CHECK(fs::exists(made->key));
  CHECK(before.starts_with(text_of(made->key)));
  CHECK(!init_ca(folder.path() / "other", "").ok());
  CHECK(!init_ca(folder.path() / "other", std::string(65, 'x')).ok());
}

TEST_CASE("local CA: leaves verify strictly, by every name they were asked for") {
  TemporaryFolder folder;
  auto ca = init_ca(folder.path(), "Home CA");
  REQUIRE(ca.ok());
  PemFile root_file = read_pem_file(ca->certificate);
  X509* root = root_file.certificates[0].get();
  std::string long_name = std::string(60, 'a') + "." + std::string(60, 'b') + ".home.arpa";
  struct Row {
    std::vector<std::string> names;
    bool client;
    const char* file;
    std::vector<std::string> found;
    const char* good;
    const char* bad;
  };
  for (const Row& row :
       {Row{{"cloud.home.arpa"}, false, "cloud.home.arpa.pem", {"cloud.home.arpa"}, "cloud.home.arpa", "x.home.arpa"},
        Row{{"Cloud.Home.Arpa.", "cloud.home.arpa"},
            false,
            "cloud.home.arpa.pem",
            {"cloud.home.arpa"},
            "cloud.home.arpa",
            "a"},
        Row{{"*.home.arpa", "home.arpa"},
            false,
            "_wildcard.home.arpa.pem",
            {"*.home.arpa", "home.arpa"},
            "x.home.arpa",
            "x.y.home.arpa"},
        Row{{"nas"}, true, "nas.pem", {"nas"}, "nas", "nas2"},
        Row{{"192.0.2.7", "nas.lan"}, false, "192.0.2.7.pem", {"192.0.2.7", "nas.lan"}, "192.0.2.7", "192.0.2.8"},
        Row{{"[fd00::6]"}, false, "fd00--6.pem", {"fd00::6"}, "fd00::6", "fd00::7"},
        Row{{long_name}, false, nullptr, {long_name}, long_name.c_str(), "x.home.arpa"}}) {
    CAPTURE(row.names);
    auto path = issue(folder.path(), folder.path() / "certs", {row.names, 397, row.client});
    REQUIRE(path.ok());
    if (row.file != nullptr) CHECK(*path == folder.path() / "certs" / row.file);
    CHECK(mode_of(*path) == 0600);
    PemFile file = read_pem_file(*path);
    REQUIRE(file.certificates.size() == 1);
    REQUIRE(file.keys.size() == 1);
    X509* leaf = file.certificates[0].get();
    CHECK(names_of(leaf) == row.found);
    CHECK(verified(leaf, root, X509_PURPOSE_SSL_SERVER, row.good) == "ok");
    CHECK(verified(leaf, root, X509_PURPOSE_SSL_SERVER, row.bad) != "ok");
    CHECK((verified(leaf, root, X509_PURPOSE_SSL_CLIENT, nullptr) == "ok") == row.client);
    CHECK((X509_get_extension_flags(leaf) & EXFLAG_CA) == 0);
    CHECK(critical(leaf, NID_basic_constraints));
    CHECK(X509_get_key_usage(leaf) == KU_DIGITAL_SIGNATURE);
    CHECK(critical(leaf, NID_key_usage));
    CHECK(critical(leaf, NID_subject_alt_name) == (row.file == nullptr));
    CHECK(serial_of(leaf) != serial_of(root));
  }
  auto store = CertStore::load(folder.path() / "certs");
  CHECK(store->problems().empty());
  CHECK(store->match("other.home.arpa").size() == 1);
}

TEST_CASE("local CA: a leaf is replaced, and ends no later than its root") {
  TemporaryFolder folder;
  REQUIRE(init_ca(folder.path(), "Home CA").ok());
  auto first = issue(folder.path(), folder.path() / "certs", {{"a.home.arpa"}, 30, false});
  REQUIRE(first.ok());
  std::string before = text_of(*first);
  auto second = issue(folder.path(), folder.path() / "certs", {{"a.home.arpa"}, 3650, false});
  REQUIRE(second.ok());
  CHECK(*first == *second);
  CHECK(text_of(*second) != before);
  CHECK(std::distance(fs::directory_iterator(folder.path() / "certs"), {}) == 1);  // no temporary file stays
  PemFile leaf = read_pem_file(*second);
  PemFile root = read_pem_file(folder.path() / "ca/root.pem");
  CHECK(not_after_of(leaf.certificates[0].get()) <= not_after_of(root.certificates[0].get()));
}

TEST_CASE("local CA: what cannot be issued is refused with words") {
  TemporaryFolder folder;
  CHECK_THAT(issue(folder.path(), folder.path() / "certs", {{"a.home.arpa"}}).error().text(), holding("init-ca"));
  REQUIRE(init_ca(folder.path(), "Home CA").ok());
  for (const char* name : {"", ".", "*", "*.", "a b", "a..b", "*.*.home.arpa", "x*.home.arpa", "a/b", "../a", "a,DNS:b",
                           "10.0.0", "10.0.0.256", "fd00::6::7", "a\nb", "https://a.home.arpa", "a.home.arpa:443"}) {
    CAPTURE(name);
    auto made = issue(folder.path(), folder.path() / "certs", {{"fine.home.arpa", name}});
    REQUIRE(!made.ok());
    CHECK_THAT(made.error().text(), holding("is neither a host name"));
  }
  CHECK(!issue(folder.path(), folder.path() / "certs", {{}}).ok());
  CHECK(!issue(folder.path(), folder.path() / "certs", {{"a.home.arpa"}, 0}).ok());
  CHECK(!issue(folder.path(), folder.path() / "certs", {{"a.home.arpa"}, 3651}).ok());
  CHECK(!fs::exists(folder.path() / "certs"));

  folder.write("ca/root.key", test::pem(test::make_key()));
  CHECK_THAT(issue(folder.path(), folder.path() / "certs", {{"a.home.arpa"}}).error().text(),
             holding("is not the key of"));
  test::Made leaf = test::make_certificate({.sans = "DNS:a.home.arpa"});
  folder.write("ca/root.key", test::pem(leaf.key));
  folder.write("ca/root.pem", test::pem(leaf.certificate));
  CHECK_THAT(issue(folder.path(), folder.path() / "certs", {{"a.home.arpa"}}).error().text(), holding("is not a CA"));
  test::Made old = test::make_certificate({.ca = true, .from_days = -9, .to_days = -1});
  folder.write("ca/root.key", test::pem(old.key));
  folder.write("ca/root.pem", test::pem(old.certificate));
  CHECK_THAT(issue(folder.path(), folder.path() / "certs", {{"a.home.arpa"}}).error().text(), holding("has expired"));
}

TEST_CASE("atomic files: replaced or refused, and nothing is left behind on a failure") {
  TemporaryFolder folder;
  fs::path file = folder.path() / "x";
  CHECK(write_atomically(file, "one", 0640, Existing::refuse).ok());
  CHECK(mode_of(file) == 0640);
  CHECK(!write_atomically(file, "two", 0640, Existing::refuse).ok());
  CHECK(text_of(file) == "one");
  CHECK(write_atomically(file, "three", 0600, Existing::replace).ok());
  CHECK(text_of(file) == "three");
  CHECK(mode_of(file) == 0600);
  fs::create_directory(folder.path() / "d");
  CHECK(!write_atomically(folder.path() / "d", "x", 0600, Existing::replace).ok());
  CHECK(!write_atomically(folder.path() / "missing/x", "x", 0600, Existing::replace).ok());
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 2);
}

}  // namespace sallyport
