#include "demux/sniff.h"

#include <random>
#include <string>
#include <vector>

#include "catch.h"

using namespace sallyport;
using std::string_literals::operator""s;

namespace {

struct Row {
  const char* name;
  std::string bytes;
  Sniff expected;
  size_t decided_at;  // how many bytes it takes
};

std::vector<Row> rows() {
  return {
      // TLS
      {"TLS 1.3 hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s, Sniff::tls, 3},
      {"SSL 3 hello", "\x16\x03\x00\x00\x40"s, Sniff::tls, 3},
      {"record version 3.4", "\x16\x03\x04\x00\x40"s, Sniff::tls, 3},
      {"record version 3.5", "\x16\x03\x05\x00\x40"s, Sniff::other, 3},
      {"record version 2", "\x16\x02\x00\x00\x40"s, Sniff::other, 2},
      {"DTLS hello", "\x16\xfe\xfd\x00\x00"s, Sniff::other, 2},
      {"TLS alert first", "\x15\x03\x01\x00\x02"s, Sniff::other, 1},
      {"SSL 2 hello", "\x80\x2e\x01\x03\x01\x00\x15"s, Sniff::other, 1},

      // HTTP/1
      {"GET", "GET / HTTP/1.1\r\n", Sniff::http1, 4},
      {"HEAD, absolute form", "HEAD http://a/ HTTP/1.1\r\n", Sniff::http1, 5},
      {"CONNECT, authority form", "CONNECT a.example:443 HTTP/1.1\r\n", Sniff::http1, 8},
      {"CONNECT to an IPv6 address", "CONNECT [::1]:443 HTTP/1.1\r\n", Sniff::http1, 8},
      {"OPTIONS *", "OPTIONS * HTTP/1.1\r\n", Sniff::http1, 8},
      {"a target that is none", "GET \x01 HTTP/1.1\r\n"s, Sniff::http1, 4},
      {"two spaces", "GET  / HTTP/1.1\r\n", Sniff::http1, 4},
      {"WebDAV", "PROPFIND /dav HTTP/1.1\r\n", Sniff::http1, 10},
      {"the longest registered method", "UPDATEREDIRECTREF /a HTTP/1.1\r\n", Sniff::http1, 19},
      {"a method of our own", "BREW /pot HTTP/1.1\r\n", Sniff::http1, 6},
      {"lower case is another method", "get / HTTP/1.1\r\n", Sniff::http1, 5},
      {"every kind of token character", "!#$%&'*+-.^_`|~0aZ /x HTTP/1.1\r\n", Sniff::http1, 20},
      {"unknown method, asterisk form", "BREW * HTTP/1.1\r\n", Sniff::http1, 6},
      {"unknown method, absolute form", "BREW http://a/ HTTP/1.1\r\n", Sniff::http1, 10},
      {"unknown method, https in capitals", "BREW HTTPS://a/ HTTP/1.1\r\n", Sniff::http1, 10},
      {"unknown method, a scheme that is not HTTP's", "BREW httq://a/ HTTP/1.1\r\n", Sniff::other, 9},
      {"unknown method, a name", "BREW a.example HTTP/1.1\r\n", Sniff::other, 6},
      {"a method of 24 characters", std::string(24, 'A') + " / HTTP/1.1\r\n", Sniff::http1, 26},
      {"a method of 25 characters", std::string(25, 'A') + " / HTTP/1.1\r\n", Sniff::other, 25},
      {"an empty line first", "\r\nGET / HTTP/1.1\r\n", Sniff::http1, 6},
      {"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n", Sniff::http1, 8},
      {"three empty lines first", "\r\n\r\n\r\nGET / HTTP/1.1\r\n", Sniff::other, 5},
      {"LF alone first", "\nGET / HTTP/1.1\r\n", Sniff::other, 1},
      {"CR alone first", "\rGET / HTTP/1.1\r\n", Sniff::other, 2},
      {"a space first", " GET / HTTP/1.1\r\n", Sniff::other, 1},
      {"a tab after the method", "GET\t/ HTTP/1.1\r\n", Sniff::other, 4},
      {"the longest wait of all", "\r\n\r\n" + std::string(24, 'A') + " https", Sniff::http1, 34},

      // HTTP/2
      {"the preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Sniff::h2_preface, 24},
      {"the preface with a SETTINGS frame", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"s, Sniff::h2_preface,
       24},
      {"a preface that goes wrong at its end", "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", Sniff::http1, 24},
      {"a preface of another version", "PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", Sniff::http1, 14},
      {"PRI as a method", "PRI /x HTTP/1.1\r\n", Sniff::http1, 5},
      {"another method that begins alike", "PRINT /x HTTP/1.1\r\n", Sniff::http1, 7},
      {"the preface after an empty line", "\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Sniff::http1, 7},

      // SSH
      {"OpenSSH", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", Sniff::ssh, 8},
      {"SSH 1.99", "SSH-1.99-x\r\n", Sniff::ssh, 9},
      {"SSH 1.5 alone", "SSH-1.5-x\r\n", Sniff::other, 10},
      {"SSH 2.1", "SSH-2.1-x\r\n", Sniff::other, 10},
      {"lower case", "ssh-2.0-x\r\n", Sniff::other, 10},
      {"a method that begins like SSH", "SSHARE /x HTTP/1.1\r\n", Sniff::http1, 8},

      // Other protocols whose clients speak first
      {"PostgreSQL", "\0\0\0\x08\x04\xd2\x16\x2f"s, Sniff::other, 1},
      {"MQTT", "\x10\x0c\0\4MQTT"s, Sniff::other, 1},
      {"Redis", "*1\r\n$4\r\nPING\r\n", Sniff::other, 3},
      {"memcached", "set key 0 0 3\r\n", Sniff::other, 5},
      {"memcached, a key like a scheme", "get http 0\r\n", Sniff::other, 9},
      {"IRC", "NICK alice\r\n", Sniff::other, 6},
      {"XMPP", "<?xml version='1.0'?>", Sniff::other, 1},
      {"PROXY v1 where none is expected", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n", Sniff::other, 7},
      {"PROXY v2 where none is expected", "\r\n\r\n\0\r\nQUIT\n"s, Sniff::other, 5},
      {"NUL", std::string(40, '\0'), Sniff::other, 1},
      {"high bytes", "\xff\xfe\xfd", Sniff::other, 1},
  };
}

}  // namespace

TEST_CASE("sniff: says what it is at the first byte that settles it, and not before") {
  for (const Row& row : rows())
    for (size_t cut = 0; cut <= row.bytes.size(); ++cut) {
      CAPTURE(row.name, cut);
      CHECK(sniff(as_bytes(row.bytes).first(cut)) == (cut < row.decided_at ? Sniff::need_more : row.expected));
    }
}

TEST_CASE("sniff: every byte but a few is settled by itself") {
  for (int first = 0; first < 256; ++first) {
    const uint8_t byte = static_cast<uint8_t>(first);
    const bool token = byte > ' ' && byte < 0x7f &&
                       std::string("\"(),/:;<=>?@[\\]{}").find(static_cast<char>(byte)) == std::string::npos;
    const bool may_become = byte == 0x16 || byte == '\r' || token;
    CAPTURE(first);
    CHECK(sniff({&byte, 1}) == (may_become ? Sniff::need_more : Sniff::other));
  }
}

TEST_CASE("sniff: an answer never changes, and kSniffBytes are always enough") {
  std::mt19937 random(1);
  const auto table = rows();
  // Characters that lead deep into the rules come often.
  const std::string often = "PRI * HTTP/2.0\r\n\r\nSM SSH-2.0-GET /ahttps:\x16\x03\x01";
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    if (round % 2 == 0) bytes = table[random() % table.size()].bytes.substr(0, random() % 24);
    while (bytes.size() < kSniffBytes) bytes.push_back(often[random() % often.size()]);
    const Sniff verdict = sniff(as_bytes(bytes).first(kSniffBytes));
    REQUIRE(verdict != Sniff::need_more);
    for (size_t cut = 0; cut < kSniffBytes; ++cut) {
      const Sniff earlier = sniff(as_bytes(bytes).first(cut));
      if (earlier != Sniff::need_more) REQUIRE(earlier == verdict);
    }
  }
}
