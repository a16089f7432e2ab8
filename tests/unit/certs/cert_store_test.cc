#include "certs/cert_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "catch.h"
#include "holding.h"
#include "test_certificates.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;
using test::Algorithm;
using test::holding;
using test::make_certificate;
using test::pem;
using test::TemporaryFolder;

const test::Made& root() {
  static const test::Made made = make_certificate({.common_name = "Root", .ca = true});
  return made;
}
const test::Made& middle() {
  static const test::Made made = make_certificate({.common_name = "Middle", .ca = true}, &root());
  return made;
}
test::Made leaf(const std::string& sans, Algorithm algorithm = Algorithm::p256) {
  return make_certificate({.common_name = "leaf", .sans = sans, .algorithm = algorithm}, &middle());
}

std::string files_of(const CertSet& set) {
  std::string text;
  for (const auto& one : set) text += (text.empty() ? "" : " ") + one->file;
  return text;
}
std::string problems_of(const CertStore& store) {
  std::string text;
  for (const CertProblem& problem : store.problems()) text += problem.file + ": " + problem.message + "\n";
  return text;
}

}  // namespace

TEST_CASE("store: chain and key in one file or two, in any order, below sub-folders") {
  test::Made one = leaf("DNS:a.example.tld");
  std::string l = pem(one.certificate), m = pem(middle().certificate), r = pem(root().certificate), k = pem(one.key);
  struct Row {
    const char* what;
    std::vector<std::pair<const char*, std::string>> files;
    const char* file;
    const char* key_file;
    size_t chain;
  };
  for (const Row& row :
       {Row{"one file", {{"x.pem", l + m + k}}, "x.pem", "x.pem", 1},
        Row{"key first", {{"x.pem", k + l + m}}, "x.pem", "x.pem", 1},
        Row{"chain before the leaf", {{"x.pem", m + l + k}}, "x.pem", "x.pem", 1},
        Row{"with its root", {{"x.pem", r + m + k + l}}, "x.pem", "x.pem", 1},
        Row{"with words around", {{"x.pem", "subject=leaf\n" + l + "\nBag Attributes\n" + k}}, "x.pem", "x.pem", 0},
        Row{"traditional key", {{"x.pem", l + pem(one.key, nullptr, true)}}, "x.pem", "x.pem", 0},
        Row{"two files", {{"a.crt", l + m}, {"z.key", k}}, "a.crt", "z.key", 1},
        Row{"key sorted first", {{"a.key", k}, {"z.crt", l + m}}, "z.crt", "a.key", 1},
        Row{"three files", {{"cert.pem", l}, {"chain.pem", m + r}, {"privkey.pem", k}}, "cert.pem", "privkey.pem", 1},
        Row{"sub-folders", {{"x/y/cert.pem", l + m}, {"keys/k.pem", k}}, "x/y/cert.pem", "keys/k.pem", 1},
        Row{"a chain elsewhere is not taken",
            {{"x/cert.pem", l + k}, {"y/chain.pem", m}},
            "x/cert.pem",
            "x/cert.pem",
            0},
        Row{"twice, more chain wins", {{"a.pem", l}, {"z/full.pem", l + m}, {"k.pem", k}}, "z/full.pem", "k.pem", 1},
        Row{"the nearer key", {{"a.pem", k}, {"x/b.pem", l}, {"x/k.pem", k}}, "x/b.pem", "x/k.pem", 0}}) {
    CAPTURE(row.what);
    TemporaryFolder folder;
    for (const auto& [name, text] : row.files) folder.write(name, text);
    auto store = CertStore::load(folder.path());
    CHECK(problems_of(*store).empty());
    REQUIRE(store->all().size() == 1);
    const Certificate& found = *store->all()[0];
    CHECK(found.file == row.file);
    CHECK(found.key_file == row.key_file);
    CHECK(found.chain.size() == row.chain);
    CHECK(X509_cmp(found.leaf.get(), one.certificate.get()) == 0);
    CHECK(EVP_PKEY_eq(found.key.get(), one.key.get()) == 1);
    CHECK(files_of(store->match("a.example.tld")) == row.file);
  }
}

TEST_CASE("store: what is read out of a certificate") {
  TemporaryFolder folder;
  test::Made one = leaf(
      "DNS:A.Example.tld,DNS:*.example.tld,DNS:a.example.tld,DNS:f*.example.tld,DNS:*,IP:192.0.2.1,"
      "IP:2001:db8::1,email:x@example.tld");
  folder.write("x.pem", pem(one.certificate) + pem(one.key));
  auto store = CertStore::load(folder.path());
  REQUIRE(store->all().size() == 1);
  const Certificate& found = *store->all()[0];
  CHECK(found.names == std::vector<std::string>{"a.example.tld", "*.example.tld", "192.0.2.1", "2001:db8::1"});
  CHECK(found.issuer == "CN=Middle");
  CHECK(found.subject == "CN=leaf");
  CHECK(found.kind == KeyKind::ecdsa);
  CHECK(found.fingerprint.size() == 64);
  auto days = std::chrono::duration_cast<std::chrono::hours>(found.not_after - found.not_before).count() / 24;
  CHECK(days == 31);
}

TEST_CASE("store: a date beyond what the clock holds is still in the future") {
  TemporaryFolder folder;
  test::Made one = make_certificate({.sans = "DNS:a.example.tld"});
  ASN1_TIME_set_string_X509(X509_getm_notAfter(one.certificate.get()), "99991231235959Z");
  X509_sign(one.certificate.get(), one.key.get(), EVP_sha256());
  folder.write("x.pem", pem(one.certificate) + pem(one.key));
  auto store = CertStore::load(folder.path());
  REQUIRE(store->all().size() == 1);
  CHECK(store->all()[0]->not_after > std::chrono::system_clock::now() + std::chrono::hours(24 * 365 * 50));
}

TEST_CASE("store: names are matched exactly, then by wildcard for one label") {
  TemporaryFolder folder;
  for (const auto& [name, sans] :
       {std::pair("exact.pem", "DNS:a.example.tld,IP:192.0.2.1"),
        std::pair("wild.pem", "DNS:*.example.tld,DNS:example.tld"), std::pair("deep.pem", "DNS:*.x.example.tld"),
        std::pair("six.pem", "IP:2001:db8::1")}) {
    test::Made made = leaf(sans);
    folder.write(name, pem(made.certificate) + pem(made.key));
  }
  auto store = CertStore::load(folder.path());
  for (const auto& [host, file] :
       {std::pair("a.example.tld", "exact.pem"), std::pair("b.example.tld", "wild.pem"),
        std::pair("example.tld", "wild.pem"), std::pair("b.a.example.tld", ""),
        std::pair("q.x.example.tld", "deep.pem"), std::pair("x.example.tld", "wild.pem"),
        std::pair("*.example.tld", "wild.pem"), std::pair("*.x.example.tld", "deep.pem"), std::pair("tld", ""),
        std::pair("*", ""), std::pair("", ""), std::pair(".example.tld", ""), std::pair("192.0.2.1", "exact.pem"),
        std::pair("192.0.2.2", ""), std::pair("2001:db8::1", "six.pem")}) {
    CAPTURE(host);
    CHECK(files_of(store->match(host)) == file);
  }
}

TEST_CASE("store: one of each key kind, ECDSA first; the freshest valid one of each") {
  struct Made {
    const char* file;
    const char* sans;
    long from, to;
    Algorithm algorithm = Algorithm::p256;
  };
  struct Row {
    const char* what;
    std::vector<Made> certificates;
    const char* chosen;
  };
  const char* exact = "DNS:a.example.tld";
  const char* wild = "DNS:*.example.tld";
  for (const Row& row :
       {Row{"kinds", {{"a-rsa", exact, -1, 9, Algorithm::rsa2048}, {"b-ec", exact, -2, 9}}, "b-ec a-rsa"},
        Row{"three kinds",
            {{"a-ed", exact, -1, 9, Algorithm::ed25519},
             {"b-rsa", exact, -1, 9, Algorithm::rsa2048},
             {"c-ec", exact, -1, 9}},
            "c-ec b-rsa a-ed"},
        Row{"fresher", {{"old", exact, -9, 50}, {"new", exact, -1, 9}}, "new"},
        Row{"expired beside valid", {{"valid", exact, -30, 9}, {"expired", exact, -5, -1}}, "valid"},
        Row{"not yet valid", {{"now", exact, -9, 9}, {"soon", exact, 2, 30}}, "now"},
        Row{"expired, nothing else", {{"older", exact, -30, -9}, {"expired", exact, -9, -2}}, "expired"},
        Row{"expired exact, valid wildcard", {{"exact", exact, -9, -1}, {"wild", wild, -9, 9}}, "wild"},
        Row{"both expired", {{"exact", exact, -9, -1}, {"wild", wild, -5, -1}}, "exact"},
        Row{"exact beats fresher wildcard", {{"exact", exact, -9, 9}, {"wild", wild, -1, 9}}, "exact"},
        Row{"expired RSA beside valid ECDSA",
            {{"ec", exact, -9, 9}, {"rsa", exact, -9, -1, Algorithm::rsa2048}},
            "ec"}}) {
    CAPTURE(row.what);
    TemporaryFolder folder;
    for (const Made& one : row.certificates) {
      test::Made made = make_certificate(
          {.sans = one.sans, .from_days = one.from, .to_days = one.to, .algorithm = one.algorithm}, &middle());
      folder.write(one.file, pem(made.certificate) + pem(made.key));
    }
    CHECK(files_of(CertStore::load(folder.path())->match("a.example.tld")) == row.chosen);
  }
}

TEST_CASE("store: certbot's folders") {
  TemporaryFolder folder;
  test::Made old = make_certificate({.sans = "DNS:a.example.tld", .from_days = -60}, &middle());
  test::Made current = make_certificate({.sans = "DNS:a.example.tld", .from_days = -1}, &middle());
  std::string m = pem(middle().certificate);
  folder.write("archive/a.example.tld/cert1.pem", pem(old.certificate));
  folder.write("archive/a.example.tld/chain1.pem", m);
  folder.write("archive/a.example.tld/fullchain1.pem", pem(old.certificate) + m);
  folder.write("archive/a.example.tld/privkey1.pem", pem(old.key));
  folder.write("archive/a.example.tld/cert2.pem", pem(current.certificate));
  folder.write("archive/a.example.tld/chain2.pem", m);
  folder.write("archive/a.example.tld/fullchain2.pem", pem(current.certificate) + m);
  folder.write("archive/a.example.tld/privkey2.pem", pem(current.key));
  folder.write("live/README", "This directory contains your keys and certificates.\n");
  fs::create_directories(folder.path() / "live/a.example.tld");
  for (const char* name : {"cert", "chain", "fullchain", "privkey"})
    fs::create_symlink(fs::path("../../archive/a.example.tld") / (std::string(name) + "2.pem"),
                       folder.path() / "live/a.example.tld" / (std::string(name) + ".pem"));
  auto store = CertStore::load(folder.path());
  CHECK(problems_of(*store).empty());
  CHECK(store->all().size() == 2);
  CertSet set = store->match("a.example.tld");
  REQUIRE(set.size() == 1);
  CHECK(set[0]->file.starts_with("live/a.example.tld/"));
  CHECK(set[0]->chain.size() == 1);
  for (const char* file : {"live/a.example.tld/fullchain.pem", "live/a.example.tld/cert.pem",
                           "archive/a.example.tld/fullchain2.pem", "./live/../live/a.example.tld/fullchain.pem"}) {
    CAPTURE(file);
    for (const std::string& path : {std::string(file), (folder.path() / file).string()}) {
      auto named = store->by_file(path);
      REQUIRE(named.ok());
      CHECK(fingerprint_of(*named) == fingerprint_of(set));
    }
  }
  CHECK(!store->by_file("live/a.example.tld/chain.pem").ok());
}

TEST_CASE("store: symlinks that loop, dangle or point upwards do no harm; hidden files are passed over") {
  TemporaryFolder folder;
  test::Made one = leaf("DNS:a.example.tld");
  folder.write("real/x.pem", pem(one.certificate) + pem(one.key));
  fs::create_directory_symlink("..", folder.path() / "real/up");
  fs::create_directory_symlink("real", folder.path() / "again");
  fs::create_symlink("self", folder.path() / "self");
  fs::create_symlink("nowhere.pem", folder.path() / "dangling.pem");
  test::Made hidden = leaf("DNS:hidden.example.tld");
  folder.write(".x.pem.swp", pem(hidden.certificate) + pem(hidden.key));
  folder.write("..data/x.pem", pem(hidden.certificate) + pem(hidden.key));
  auto store = CertStore::load(folder.path());
  CHECK(store->all().size() == 1);
  CHECK_THAT(problems_of(*store),
             holding("dangling.pem: cannot be read: No such file") && holding("self: cannot be read"));
  CHECK(store->problems().size() == 2);
  CHECK(store->by_file("again/x.pem").ok());
  CHECK(store->by_file("real/x.pem").ok());

  TemporaryFolder mounted;  // as Kubernetes mounts a secret
  mounted.write("..2026_11_20/tls.pem", pem(one.certificate) + pem(one.key));
  fs::create_directory_symlink("..2026_11_20", mounted.path() / "..data");
  fs::create_symlink("..data/tls.pem", mounted.path() / "tls.pem");
  auto secret = CertStore::load(mounted.path());
  CHECK(files_of(secret->all()) == "tls.pem");
  CHECK(problems_of(*secret).empty());
}

TEST_CASE("store: what is no fault, and what is a problem") {
  test::Made one = leaf("DNS:a.example.tld");
  test::Made cn_only = make_certificate({.common_name = "cn.example.tld"}, &root());
  test::Made client = make_certificate({.sans = "DNS:c.example.tld", .eku = "clientAuth"}, &root());
  std::string l = pem(one.certificate), k = pem(one.key), whole = l + k;
  struct Row {
    const char* what;
    std::string text;
    const char* problem;  // "": none
    size_t served;
  };
  for (const Row& row :
       {Row{"certificate and key", whole, "", 1},
        Row{"CA file", pem(root().certificate) + pem(middle().certificate), "", 0}, Row{"leaf without a key", l, "", 0},
        Row{"CN only", pem(cn_only.certificate) + pem(cn_only.key), "", 0},
        Row{"for clients only", pem(client.certificate) + pem(client.key), "", 0},
        Row{"revocation list", test::crl_pem(root(), {}), "", 0}, Row{"words", "Put certificates here.\n", "", 0},
        Row{"empty", "", "", 0}, Row{"bytes", std::string("\0\xff\xfe\x30\x82", 5), "", 0},
        Row{"parameters before the key",
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + whole, "", 1},
        Row{"lonely key", k, "its private key belongs to no certificate here", 0},
        Row{"encrypted key", l + pem(one.key, "secret"), "encrypted private key", 0},
        Row{"encrypted key, traditional", l + pem(one.key, "secret", true), "encrypted private key", 0},
        Row{"cut", whole.substr(0, l.size() / 2), "broken PEM", 0},
        Row{"cut behind a good one", whole + l.substr(0, 200), "broken PEM", 1},
        Row{"nonsense inside", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + whole,
            "broken certificate", 1},
        Row{"nonsense key", l + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "broken private key",
            0},
        Row{"too large", whole + std::string(1024 * 1024, '\n'), "larger than 1 MiB", 0}}) {
    CAPTURE(row.what);
    TemporaryFolder folder;
    folder.write("x.pem", row.text);
    auto store = CertStore::load(folder.path());
    CHECK(store->all().size() == row.served);
    CHECK(store->problems().size() == (*row.problem == '\0' ? 0 : 1));
    if (*row.problem != '\0')
      CHECK_THAT(problems_of(*store), Catch::Matchers::StartsWith("x.pem: ") && holding(row.problem));
  }
}

TEST_CASE("store: a missing folder is an empty store with a problem; pipes and devices are passed over") {
  TemporaryFolder folder;
  auto missing = CertStore::load(folder.path() / "missing");
  CHECK(missing->all().empty());
  CHECK_THAT(problems_of(*missing), holding("missing: cannot be read: No such file"));
  CHECK(missing->match("a.example.tld").empty());
  REQUIRE(mkfifo((folder.path() / "pipe.pem").c_str(), 0600) == 0);
  fs::create_symlink("/dev/zero", folder.path() / "zero.pem");
  CHECK(problems_of(*CertStore::load(folder.path())).empty());
}

TEST_CASE("store: a file nobody may read is a problem") {
  if (geteuid() == 0) return;  // root reads everything
  TemporaryFolder folder;
  chmod(folder.write("x.pem", "secret").c_str(), 0);
  CHECK_THAT(problems_of(*CertStore::load(folder.path())), holding("x.pem: cannot be read: Permission denied"));
}

TEST_CASE("by file: ones without names, ones outside the folder, and clear words for the rest") {
  TemporaryFolder folder;
  TemporaryFolder elsewhere;
  test::Made cn_only = make_certificate({.common_name = "client"}, &root());
  test::Made ec = leaf("DNS:a.example.tld");
  test::Made rsa = leaf("DNS:a.example.tld", Algorithm::rsa2048);
  folder.write("cn.pem", pem(cn_only.certificate) + pem(cn_only.key));
  folder.write("both.pem",
               pem(rsa.certificate) + pem(ec.certificate) + pem(rsa.key) + pem(ec.key) + pem(middle().certificate));
  folder.write("ca.pem", pem(root().certificate));
  folder.write("words.txt", "words");
  std::string near = elsewhere.write("near.crt", pem(ec.certificate) + pem(middle().certificate));
  elsewhere.write("near.key", pem(ec.key));
  elsewhere.write("broken.pem", "-----BEGIN CERTIFICATE-----\n");
  auto store = CertStore::load(folder.path().string() + "/");
  struct Row {
    std::string file;
    size_t count;
    const char* says;
  };
  for (const Row& row : {Row{"cn.pem", 1, ""}, Row{(folder.path() / "cn.pem").string(), 1, ""}, Row{"both.pem", 2, ""},
                         Row{near, 1, ""}, Row{"missing.pem", 0, "missing.pem: no such file"},
                         Row{"ca.pem", 0, "ca.pem: no private key was found for its certificate"},
                         Row{"words.txt", 0, "words.txt: holds no certificate"},
                         Row{(elsewhere.path() / "near.key").string(), 0, "holds no certificate"},
                         Row{(elsewhere.path() / "broken.pem").string(), 0, "broken PEM"}}) {
    CAPTURE(row.file);
    auto set = store->by_file(row.file);
    CHECK(set.ok() == (row.count > 0));
    if (set) CHECK(set->size() == row.count);
    if (!set) CHECK_THAT(set.error().text(), holding(row.says));
  }
  auto both = store->by_file("both.pem");
  CHECK((*both)[0]->kind == KeyKind::ecdsa);
  CHECK((*both)[0]->chain.size() == 1);
  CHECK((*both)[1]->chain.size() == 1);
  CHECK(store->match("client").empty());
}

TEST_CASE("store: a key too short for TLS is a problem of its own file only") {
  TemporaryFolder folder;
  test::Made weak = leaf("DNS:a.example.tld", Algorithm::rsa1024);
  test::Made good = leaf("DNS:a.example.tld", Algorithm::rsa2048);
  folder.write("weak.pem", pem(weak.certificate) + pem(weak.key));
  folder.write("good.pem", pem(good.certificate) + pem(good.key));
  auto store = CertStore::load(folder.path());
  CHECK(files_of(store->match("a.example.tld")) == "good.pem");
  CHECK_THAT(problems_of(*store),
             Catch::Matchers::StartsWith("weak.pem: cannot be served: ") && holding("key too small"));
}

TEST_CASE("fingerprint of a set: equal for the same certificates and chains only") {
  TemporaryFolder folder;
  test::Made one = leaf("DNS:a.example.tld");
  folder.write("x.pem", pem(one.certificate) + pem(one.key));
  auto first = CertStore::load(folder.path());
  auto again = CertStore::load(folder.path());
  folder.write("x.pem", pem(one.certificate) + pem(middle().certificate) + pem(one.key));
  auto chained = CertStore::load(folder.path());
  auto of = [](const CertStore& store) { return fingerprint_of(store.match("a.example.tld")); };
  CHECK(of(*first) == of(*again));
  CHECK(of(*first) != of(*chained));
  CHECK(fingerprint_of(CertSet{}).empty());
}

TEST_CASE("store: a bad replacement leaves the certificate of before, as long as its file is there") {
  const test::Made first = leaf("DNS:a.example.tld"), second = leaf("DNS:a.example.tld");
  struct Row {
    const char* what;
    std::string text;  // of the file now
    bool kept;
  };
  for (const Row& row : {Row{"the same", pem(first.certificate) + pem(first.key), false},
                         Row{"another", pem(second.certificate) + pem(second.key), false},
                         Row{"garbage", "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n", true},
                         Row{"empty", "", true},
                         Row{"another, whose key has not come yet", pem(second.certificate), true},
                         Row{"a key alone", pem(first.key), true}}) {
    CAPTURE(row.what);
    TemporaryFolder folder;
    folder.write("a.pem", pem(first.certificate) + pem(first.key));
    const auto before = CertStore::load(folder.path());
    folder.write("a.pem", row.text);
    for (auto store = CertStore::load(folder.path(), before.get()); const int round : {1, 2}) {
      CAPTURE(round);
      REQUIRE(store->match("a.example.tld").size() == 1);
      CHECK((store->match("a.example.tld").front() == before->match("a.example.tld").front()) == row.kept);
      CHECK(store->by_file("a.pem").ok());
      CHECK((problems_of(*store).find("the certificate of before goes on") != std::string::npos) == row.kept);
      store = CertStore::load(folder.path(), store.get());
    }
    fs::remove(folder.path() / "a.pem");
    CHECK(CertStore::load(folder.path(), before.get())->match("a.example.tld").empty());
  }
}

TEST_CASE("store: a certificate that moved to a file of another name is not kept beside itself") {
  const test::Made one = leaf("DNS:a.example.tld");
  TemporaryFolder folder;
  folder.write("a.pem", pem(one.certificate) + pem(one.key));
  const auto before = CertStore::load(folder.path());
  folder.write("a.pem", "");
  folder.write("b.pem", pem(one.certificate) + pem(one.key));
  const auto store = CertStore::load(folder.path(), before.get());
  CHECK(store->all().size() == 1);
  CHECK(files_of(store->match("a.example.tld")) == "b.pem");
}

}  // namespace sallyport
