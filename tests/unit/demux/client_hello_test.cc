#include "demux/client_hello.h"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "catch.h"
#include "tests/unit/demux/hello_builder.h"

using namespace sallyport;
using namespace sallyport::test;
using Sni = ClientHello::Sni;
using std::string_literals::operator""s;

namespace {

std::string vector_file(const std::string& name) {
  std::ifstream in(std::string(SALLYPORT_SOURCE_DIR) + "/tests/fuzz/corpus/client_hello/" + name, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  INFO(name);
  REQUIRE(bytes.size() > 60);
  return bytes;
}

HelloParse parse(std::string_view wire, ClientHello& out) { return parse_client_hello(as_bytes(wire), out); }

ClientHello parsed(std::string_view wire) {
  ClientHello out;
  const char* why = "";
  HelloParse verdict = parse_client_hello(as_bytes(wire), out, &why);
  CAPTURE(why);
  REQUIRE(verdict == HelloParse::done);
  return out;
}

void check_same(const ClientHello& a, const ClientHello& b) {
  CHECK(a.sni_kind == b.sni_kind);
  CHECK(a.sni == b.sni);
  CHECK(a.has_alpn == b.has_alpn);
  CHECK(a.offers_h2 == b.offers_h2);
  CHECK(a.offers_http1 == b.offers_http1);
  CHECK(a.offers_acme == b.offers_acme);
  CHECK(a.max_version == b.max_version);
}

// One byte at a time, with and without remembering how far it was: more is needed until the last byte, then the same
// answer.
void check_every_cut(std::string_view wire) {
  const ClientHello expected = parsed(wire);
  HelloProgress progress;
  for (size_t cut = 0; cut < wire.size(); ++cut) {
    CAPTURE(cut);
    ClientHello out;
    if (wire.size() <= 2048 || cut % 257 == 0) REQUIRE(parse(wire.substr(0, cut), out) == HelloParse::need_more);
    REQUIRE(parse_client_hello(as_bytes(wire.substr(0, cut)), out, nullptr, &progress) == HelloParse::need_more);
    REQUIRE(progress.at_least > cut);
    REQUIRE(progress.at_least <= wire.size());
  }
  ClientHello out;
  REQUIRE(parse_client_hello(as_bytes(wire), out, nullptr, &progress) == HelloParse::done);
  check_same(out, expected);
}

std::string message_of(std::string_view wire) {
  std::string out;
  for (size_t at = 0; at < wire.size();) {
    size_t length = static_cast<size_t>(static_cast<uint8_t>(wire[at + 3]) << 8 | static_cast<uint8_t>(wire[at + 4]));
    out += wire.substr(at + 5, length);
    at += 5 + length;
  }
  return out;
}

// For every prefix too: a hello with a fault in it is never taken for one.
void check_refused(std::string_view wire, HelloParse expected = HelloParse::malformed) {
  ClientHello out;
  const char* why = nullptr;
  CHECK(parse_client_hello(as_bytes(wire), out, &why) == expected);
  CHECK(why != nullptr);
  HelloProgress progress;
  HelloParse verdict = HelloParse::need_more;
  for (size_t cut = 0; cut <= wire.size() && verdict == HelloParse::need_more; ++cut)
    verdict = parse_client_hello(as_bytes(wire.substr(0, cut)), out, nullptr, &progress);
  CHECK(verdict == expected);
}

struct Client {
  const char* file;
  Sni kind;
  const char* sni;
  uint16_t max_version;
  bool has_alpn, h2, http1, acme;
};

const Client kClients[] = {
    {"openssl_s_client", Sni::name, "cloud.example.tld", 0x0304, true, true, true, false},
    {"openssl_tls12_no_sni", Sni::none, "", 0x0303, false, false, false, false},
    {"openssl_ip_literal", Sni::ip_literal, "192.0.2.7", 0x0304, false, false, false, false},
    {"openssl_tls11", Sni::name, "old.example.tld", 0x0302, false, false, false, false},
    {"openssl_acme", Sni::name, "acme.example.tld", 0x0304, true, false, false, true},
    {"curl", Sni::name, "git.example.tld", 0x0304, true, true, true, false},
    {"curl_http1_no_alpn", Sni::name, "git.example.tld", 0x0304, false, false, false, false},
    {"git", Sni::name, "localhost", 0x0304, true, true, true, false},
    {"wget", Sni::name, "localhost", 0x0304, false, false, false, false},
    {"gnutls_cli", Sni::name, "mail.example.tld", 0x0304, true, true, false, false},
    {"node_post_quantum", Sni::name, "node.example.tld", 0x0304, true, true, false, false},
    {"python", Sni::name, "vault.example.tld", 0x0304, true, false, true, false},
    {"python_16k_over_two_records", Sni::name, "big.example.tld", 0x0304, true, false, true, false},
};

}  // namespace

TEST_CASE("client hello: what real clients send is read, however it is cut") {
  for (const Client& client : kClients) {
    CAPTURE(client.file);
    const std::string wire = vector_file(client.file);
    const ClientHello hello = parsed(wire);
    CHECK(hello.sni_kind == client.kind);
    CHECK(hello.sni == client.sni);
    CHECK(hello.max_version == client.max_version);
    CHECK(hello.has_alpn == client.has_alpn);
    CHECK(hello.offers_h2 == client.h2);
    CHECK(hello.offers_http1 == client.http1);
    CHECK(hello.offers_acme == client.acme);
    check_every_cut(wire);
    const std::string message = message_of(wire);
    for (size_t size : {1, 2, 3, 4, 5, 6, 100, 300, 8000}) {
      CAPTURE(size);
      check_every_cut(in_records(message, size));
      check_same(parsed(in_records(message, size)), hello);
    }
  }
}

TEST_CASE("client hello: a browser's, with GREASE and a post-quantum share, wherever one record border falls") {
  const std::string message = browser("WWW.Example.tld").message();
  REQUIRE(message.size() > 1500);
  for (size_t border = 1; border < message.size(); ++border) {
    CAPTURE(border);
    const ClientHello hello = parsed(record(message.substr(0, border)) + record(message.substr(border)));
    REQUIRE(hello.sni == "www.example.tld");
    REQUIRE(hello.sni_kind == Sni::name);
    REQUIRE(hello.max_version == 0x0304);
    REQUIRE((hello.has_alpn && hello.offers_h2 && hello.offers_http1 && !hello.offers_acme));
  }
  check_every_cut(in_records(message, (message.size() + 4) / 5));
}

TEST_CASE("client hello: large key shares, up to 64 KiB in all") {
  for (size_t share : {1216, 16384, 40000}) {
    CAPTURE(share);
    HelloBuilder hello;
    hello.sni("big.example.tld").key_shares({{0xfe33, share}}).alpn({"h2"});
    for (size_t size : {16384, 4096, 700}) {
      const ClientHello out = parsed(in_records(hello.message(), size));
      CHECK(out.sni == "big.example.tld");
      CHECK(out.offers_h2);
    }
  }
  // The extensions have a length of two bytes; cipher suites fill the rest.
  HelloBuilder most;
  most.ciphers = std::string(30000, 'c');
  most.sni("a.example");
  CHECK(parsed(most.pad_to(4 + 65536).wire()).sni == "a.example");
  most = {};
  most.ciphers = std::string(30000, 'c');
  most.sni("a.example");
  check_refused(most.pad_to(4 + 65536 + 1).wire(), HelloParse::too_large);
}

TEST_CASE("client hello: a length over 64 KiB is refused at its fourth byte") {
  ClientHello out;
  CHECK(parse(record("\x01\x01\x00\x00"s), out) == HelloParse::need_more);
  CHECK(parse(record("\x01\x01\x00\x01"s), out) == HelloParse::too_large);
  CHECK(parse(record("\x01\xff\xff\xff"s), out) == HelloParse::too_large);
  check_refused(record("\x01"s) + record("\x01"s) + record("\x00"s) + record("\x01"s), HelloParse::too_large);
}

TEST_CASE("client hello: records too small for their number are refused within kMaxHelloBytes") {
  HelloBuilder hello;
  const std::string wire = in_records(hello.sni("a.example").pad_to(40000).message(), 1);
  REQUIRE(wire.size() > kMaxHelloBytes);
  ClientHello out;
  CHECK(parse(std::string_view(wire).substr(0, kMaxHelloBytes), out) == HelloParse::too_large);
  CHECK(parse(wire, out) == HelloParse::too_large);
  check_refused(wire, HelloParse::too_large);

  HelloBuilder fits;
  CHECK(parsed(in_records(fits.sni("a.example").pad_to(16384).message(), 1)).sni == "a.example");
}

TEST_CASE("client hello: bytes after the message are not looked at") {
  const std::string message = browser("a.example").message();
  CHECK(parsed(record(message + "\x02more in the same record"s)).sni == "a.example");
  CHECK(parsed(record(message) + "\x17\x03\x03\x00\x10 early data").sni == "a.example");
  CHECK(parsed(record(message) + "no record at all").sni == "a.example");
  // The rest of the record need not have come.
  const std::string half = record(message + std::string(100, 'x')).substr(0, 5 + message.size());
  CHECK(parsed(half).sni == "a.example");
}

TEST_CASE("client hello: the name") {
  struct Row {
    std::string sent;
    Sni kind;
    std::string kept;
  };
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  const Row rows[] = {
      {"a.example", Sni::name, "a.example"},
      {"A.eXample.TLD", Sni::name, "a.example.tld"},
      {"a.example.", Sni::name, "a.example"},
      {"localhost", Sni::name, "localhost"},
      {"under_score.example", Sni::name, "under_score.example"},
      {"xn--bcher-kva.example", Sni::name, "xn--bcher-kva.example"},
      {longest, Sni::name, longest},
      {longest + ".", Sni::name, longest},
      {longest + "b", Sni::invalid, longest + "b"},
      {std::string(300, 'a'), Sni::invalid, std::string(255, 'a')},
      {label + "a.example", Sni::invalid, label + "a.example"},
      {"192.0.2.1", Sni::ip_literal, "192.0.2.1"},
      {"192.0.2.1.", Sni::ip_literal, "192.0.2.1."},
      {"2001:db8::1", Sni::ip_literal, "2001:db8::1"},
      {"[2001:db8::1]", Sni::invalid, "[2001:db8::1]"},
      {"192.0.2.1\0.example"s, Sni::invalid, "192.0.2.1\0.example"s},
      {"a.example\0"s, Sni::invalid, "a.example\0"s},
      {"a\0b.example"s, Sni::invalid, "a\0b.example"s},
      {"a b.example", Sni::invalid, "a b.example"},
      {"a.example\r\nX: y", Sni::invalid, "a.example\r\nX: y"},
      {"*.example", Sni::invalid, "*.example"},
      {"a.example:443", Sni::invalid, "a.example:443"},
      {"b\xc3\xbc.example", Sni::invalid, "b\xc3\xbc.example"},
      {"a..example", Sni::invalid, "a..example"},
      {".a.example", Sni::invalid, ".a.example"},
      {"a.example..", Sni::invalid, "a.example.."},
      {".", Sni::invalid, "."},
  };
  for (const Row& row : rows) {
    CAPTURE(row.sent);
    const ClientHello hello = parsed(HelloBuilder{}.sni(row.sent).wire());
    CHECK(hello.sni_kind == row.kind);
    CHECK(hello.sni == row.kept);
  }
  CHECK(parsed(HelloBuilder{}.wire()).sni_kind == Sni::none);
  // A type of name that nobody defined is passed over.
  const std::string other_first = sni_entry("???", 7) + sni_entry("a.example");
  CHECK(parsed(HelloBuilder{}.add(0, sized(other_first, 2)).wire()).sni == "a.example");
  CHECK(parsed(HelloBuilder{}.add(0, sized(sni_entry("x", 7), 2)).wire()).sni_kind == Sni::none);
}

TEST_CASE("client hello: the versions offered") {
  struct Row {
    uint16_t legacy;
    std::vector<uint16_t> extension;
    uint16_t expected;
  };
  const Row rows[] = {
      {0x0303, {0x0304, 0x0303}, 0x0304},
      {0x0303, {0x0303, 0x0304, 0x0302}, 0x0304},
      {0x0303, {0xeaea, 0x0303}, 0x0303},
      {0x0303, {0x7f1c, 0x0303}, 0x0303},  // a draft of TLS 1.3
      {0x0303, {0x7f1c}, 0},
      {0x0303, {0x0302}, 0x0302},
      {0x0303, {}, 0x0303},
      {0x0301, {}, 0x0301},
      {0x0300, {}, 0x0300},
      {0x0304, {}, 0x0303},
      {0x0505, {}, 0x0303},
  };
  for (const Row& row : rows) {
    CAPTURE(row.legacy, row.extension);
    HelloBuilder hello;
    hello.version = row.legacy;
    if (!row.extension.empty()) hello.versions(row.extension);
    CHECK(parsed(hello.wire()).max_version == row.expected);
  }
}

TEST_CASE("client hello: the protocols offered are compared whole") {
  const auto of = [](const std::vector<std::string>& list) { return parsed(HelloBuilder{}.alpn(list).wire()); };
  ClientHello hello = of({"h2c", "http/1.0", "http/1.1x", "acme-tls/11", std::string(255, 'x'), "h2\0"s});
  CHECK((hello.has_alpn && !hello.offers_h2 && !hello.offers_http1 && !hello.offers_acme));
  hello = of({"http/1.0", "h2"});
  CHECK((hello.offers_h2 && !hello.offers_http1));
  hello = of({"acme-tls/1"});
  CHECK((hello.offers_acme && !hello.offers_h2));
}

TEST_CASE("client hello: without extensions, as before TLS 1.2") {
  HelloBuilder hello;
  hello.has_extensions = false;
  hello.session_id = "";
  hello.version = 0x0301;
  const ClientHello out = parsed(hello.wire());
  CHECK((out.sni_kind == Sni::none && !out.has_alpn && out.max_version == 0x0301));
  check_every_cut(hello.wire());
  hello.has_extensions = true;
  CHECK(parsed(hello.wire()).sni_kind == Sni::none);
}

TEST_CASE("client hello: lengths that disagree and lists that may not be") {
  struct Row {
    const char* name;
    HelloBuilder hello;
  };
  const auto with = [](uint16_t type, std::string_view data) { return HelloBuilder{}.add(type, data); };
  const auto changed = [](auto&& change) {
    HelloBuilder hello;
    hello.sni("a.example");
    change(hello);
    return hello;
  };
  const Row rows[] = {
      {"a name twice", with(0, sized(sni_entry("a.example") + sni_entry("a.example"), 2))},
      {"two names", with(0, sized(sni_entry("a.example") + sni_entry("b.example"), 2))},
      {"server_name without a list", with(0, "")},
      {"server_name with an empty list", with(0, sized("", 2))},
      {"an empty name", with(0, sized(sni_entry(""), 2))},
      {"an empty name of another type", with(0, sized(sni_entry("", 9), 2))},
      {"a name longer than its list", with(0, sized("\0\0\x20"s + "short", 2))},
      {"a name shorter than its list", with(0, sized("\0\0\x02"s + "short", 2))},
      {"a list longer than its extension", with(0, number(40, 2) + sni_entry("a.example"))},
      {"a list shorter than its extension", with(0, sized(sni_entry("a.example"), 2) + "x")},
      {"an extension twice: server_name", HelloBuilder{}.sni("a.example").sni("a.example")},
      {"an extension twice: alpn", HelloBuilder{}.alpn({"h2"}).alpn({"h2"})},
      {"an extension twice: GREASE", HelloBuilder{}.add(0x0a0a, "").sni("a.example").add(0x0a0a, "x")},
      {"an extension twice: the last type", HelloBuilder{}.add(0xffff, "").add(0xffff, "")},
      {"alpn without a list", with(16, "")},
      {"alpn with an empty list", with(16, sized("", 2))},
      {"alpn with an empty name", with(16, sized(sized("h2", 1) + sized("", 1), 2))},
      {"an alpn name longer than its list", with(16, sized("\x09h2", 2))},
      {"an alpn list shorter than its extension", with(16, sized(sized("h2", 1), 2) + "x")},
      {"no version", with(43, sized("", 1))},
      {"half a version", with(43, sized("\3\4\3", 1))},
      {"versions shorter than their extension", with(43, sized("\3\4", 1) + "x")},
      {"an extension longer than the hello", changed([](auto& h) { h.extensions += "\x12\x34\x00\x05x"s; })},
      {"half an extension header", changed([](auto& h) { h.extensions += "\x12\x34\x00"s; })},
      {"session id of 33 bytes", changed([](auto& h) { h.session_id = std::string(33, 's'); })},
      {"no cipher suite", changed([](auto& h) { h.ciphers = ""; })},
      {"half a cipher suite", changed([](auto& h) { h.ciphers = "\x13\x01\x13"; })},
      {"no compression method", changed([](auto& h) { h.compressions = ""; })},
      {"SSL 2", changed([](auto& h) { h.version = 0x0002; })},
      {"a version below SSL 3", changed([](auto& h) { h.version = 0x02ff; })},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    check_refused(row.hello.wire());
    check_refused(in_records(row.hello.message(), 3));
  }
}

TEST_CASE("client hello: cut short or drawn out with its length made to fit") {
  HelloBuilder hello = browser("a.example");
  const std::string body = hello.body();
  hello.has_extensions = false;
  const size_t bare = hello.body().size();
  for (size_t cut = 0; cut < body.size(); ++cut) {
    CAPTURE(cut);
    ClientHello out;
    const HelloParse verdict = parse(record("\x01" + sized(body.substr(0, cut), 3)), out);
    REQUIRE(verdict == (cut == bare ? HelloParse::done : HelloParse::malformed));
  }
  check_refused(record("\x01" + sized(body + "x", 3)));
}

TEST_CASE("client hello: records that may not be") {
  const std::string message = browser("a.example").message();
  const std::string first = message.substr(0, 500);
  const std::string rest = message.substr(500);
  struct Row {
    const char* name;
    std::string wire;
  };
  const Row rows[] = {
      {"an empty record first", record("") + record(message)},
      {"an empty record within", record(first) + record("") + record(rest)},
      {"an alert within", record(first) + record("\x01\x00"s, 21) + record(rest)},
      {"a change_cipher_spec within", record(first) + record("\x01", 20) + record(rest)},
      {"application data within", record(first) + record("x", 23) + record(rest)},
      {"an alert first", record("\x01\x00"s, 21)},
      {"a record over 16 KiB", record(HelloBuilder{}.pad_to(16385).message())},
      {"another major version", record(message, 22, 0x0201)},
      {"another major version later", record(first) + record(rest, 22, 0x0401)},
      {"a record version of 3.5", record(message, 22, 0x0305)},
      {"a ServerHello", record("\x02" + message.substr(1))},
      {"a HelloRequest", record("\0\0\0\0"s)},
      {"an empty hello", record("\1\0\0\0"s)},
      {"not TLS", "GET / HTTP/1.1\r\n\r\n"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    check_refused(row.wire);
  }
  CHECK(parsed(record(HelloBuilder{}.sni("a.example").pad_to(16384).message())).sni == "a.example");
  for (uint16_t version : {0x0300, 0x0302, 0x0303, 0x0304})
    CHECK(parsed(record(message, 22, version)).sni == "a.example");
}

TEST_CASE("client hello: what is no ClientHello is refused before the rest comes") {
  ClientHello out;
  CHECK(parse(record(std::string(100, '\2')).substr(0, 6), out) == HelloParse::malformed);
  HelloProgress progress;
  const std::string wrong_type = "\x16\x03\x01\x00\x04\x8d"s;
  CHECK(parse_client_hello(as_bytes(wrong_type).first(5), out, nullptr, &progress) == HelloParse::need_more);
  CHECK(parse_client_hello(as_bytes(wrong_type), out, nullptr, &progress) == HelloParse::malformed);
  CHECK(parse("\x15\x03\x01\x00\x02"s, out) == HelloParse::malformed);
  CHECK(parse("\x16\x03\x01\x40\x01"s, out) == HelloParse::malformed);
  CHECK(parse("\x16\x03\x01\x00\x00"s, out) == HelloParse::malformed);
}

TEST_CASE("client hello: progress keeps the walk from beginning anew") {
  HelloBuilder hello;
  const std::string wire = in_records(hello.sni("a.example").pad_to(16000).message(), 1);
  HelloProgress progress;
  ClientHello out;
  size_t answered_without_looking = 0;
  for (size_t cut = 0; cut < wire.size(); ++cut) {
    answered_without_looking += cut < progress.at_least;
    REQUIRE(parse_client_hello(as_bytes(wire).first(cut), out, nullptr, &progress) == HelloParse::need_more);
    // What a call walks begins at the record that was cut: all before it is done with.
    REQUIRE(cut - progress.record < 6);
  }
  CHECK(answered_without_looking > wire.size() / 2);
  CHECK(parse_client_hello(as_bytes(wire), out, nullptr, &progress) == HelloParse::done);
}
