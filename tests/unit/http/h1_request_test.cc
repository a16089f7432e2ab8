#include "catch.h"
#include "http/transcript.h"

using namespace sallyport;
using namespace sallyport::http;

namespace {

struct Good {
  const char* name;
  std::string bytes;
  std::string says;  // the transcript
};

std::string get(const std::string& fields) { return "GET / HTTP/1.1\r\nHost: a.tld\r\n" + fields + "\r\n"; }
std::string line(const std::string& first) { return first + "\r\nHost: a.tld\r\n\r\n"; }
const std::string kGet = "head GET / 1.1 authority=a.tld host=a.tld port=0 none:0 keep";
const std::string kPost = "head POST / 1.1 authority=a.tld host=a.tld port=0 ";
std::string post(const std::string& rest) { return "POST / HTTP/1.1\r\nHost: a.tld\r\n" + rest; }
std::string chunks(const std::string& rest) { return post("Transfer-Encoding: chunked\r\n\r\n" + rest); }
const std::string kChunked = kPost + "chunked:0 keep\n";

std::vector<Good> good() {
  return {
      {"plain", get(""), kGet + "\ncomplete\n"},
      {"fields", get("A: 1\r\nb-C:2\r\nEmpty:\r\nBlank: \t \r\nA:\t x y\t \r\n"),
       kGet + " [A: 1] [b-C: 2] [Empty: ] [Blank: ] [A: x y]\ncomplete\n"},
      {"odd but allowed bytes", get("!#$%&'*+-.^_`|~09az: \x80\xff\ta\"\\{}:,;\r\n"),
       kGet + " [!#$%&'*+-.^_`|~09az: \x80\xff\ta\"\\{}:,;]\ncomplete\n"},
      {"empty lines first", "\r\n\r\n" + get(""), kGet + "\ncomplete\n"},
      {"two in a row", get("") + get("X: y\r\n"), kGet + "\ncomplete\n" + kGet + " [X: y]\ncomplete\n"},
      {"own method", "BREW /pot HTTP/1.1\r\nHost: a.tld\r\n\r\n",
       "head BREW /pot 1.1 authority=a.tld host=a.tld port=0 none:0 keep\ncomplete\n"},
      {"method of RTSP", "DESCRIBE / HTTP/1.1\r\nHost: a.tld\r\n\r\n",
       "head DESCRIBE / 1.1 authority=a.tld host=a.tld port=0 none:0 keep\ncomplete\n"},
      {"lower case method is another method", "get / HTTP/1.1\r\nHost: a.tld\r\n\r\n",
       "head get / 1.1 authority=a.tld host=a.tld port=0 none:0 keep\ncomplete\n"},
      {"1.0 without Host", "GET /a?b HTTP/1.0\r\n\r\n", "head GET /a?b 1.0 authority= host= port=0 none:0\ncomplete\n"},
      {"1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
       "head GET / 1.0 authority= host= port=0 none:0 keep [Connection: Keep-Alive]\ncomplete\n"},
      {"1.0 keep-alive and close", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
       "head GET / 1.0 authority= host= port=0 none:0 [Connection: keep-alive, close]\ncomplete\n"},
      {"1.1 close", get("Connection: x , CLOSE\r\n"),
       "head GET / 1.1 authority=a.tld host=a.tld port=0 none:0 [Connection: x , CLOSE]\ncomplete\n"},
      {"close in a second field", get("Connection: x\r\nConnection: close\r\n"),
       "head GET / 1.1 authority=a.tld host=a.tld port=0 none:0 [Connection: x] [Connection: close]\ncomplete\n"},
      {"host with case, dot and port", "GET / HTTP/1.1\r\nhOST: A.Tld.:8443\r\n\r\n",
       "head GET / 1.1 authority=a.tld.:8443 host=a.tld port=8443 none:0 keep\ncomplete\n"},
      {"IPv6 host", "GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n",
       "head GET / 1.1 authority=[2001:db8::1]:80 host=[2001:db8::1] port=80 none:0 keep\ncomplete\n"},
      {"IPv4 host", "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n",
       "head GET / 1.1 authority=10.0.0.1 host=10.0.0.1 port=0 none:0 keep\ncomplete\n"},
      {"target with odd characters", line("GET /a|b{c}^`\"<>\\%zz?q=[]'? HTTP/1.1"),
       "head GET /a|b{c}^`\"<>\\%zz?q=[]'? 1.1 authority=a.tld host=a.tld port=0 none:0 keep\ncomplete\n"},
      {"two slashes", line("GET //b/../c HTTP/1.1"),
       "head GET //b/../c 1.1 authority=a.tld host=a.tld port=0 none:0 keep\ncomplete\n"},
      {"asterisk", line("OPTIONS * HTTP/1.1"),
       "head OPTIONS * 1.1 authority=a.tld host=a.tld port=0 none:0 keep\ncomplete\n"},
      {"absolute form", line("GET http://A.tld/x?y HTTP/1.1"),
       "head GET /x?y 1.1 authority=a.tld host=a.tld port=0 none:0 keep\ncomplete\n"},
      {"absolute form, default ports", line("GET HTTP://a.tld:80/ HTTP/1.1") + line("GET https://a.tld:443/ HTTP/1.1"),
       kGet + "\ncomplete\n" + kGet + "\ncomplete\n"},
      {"absolute form, port in Host only", "GET https://a.tld/ HTTP/1.1\r\nHost: a.tld:443\r\n\r\n",
       "head GET / 1.1 authority=a.tld:443 host=a.tld port=443 none:0 keep\ncomplete\n"},
      {"absolute form without a path", line("GET http://a.tld HTTP/1.1") + line("GET http://a.tld?q HTTP/1.1"),
       kGet + "\ncomplete\nhead GET /?q 1.1 authority=a.tld host=a.tld port=0 none:0 keep\ncomplete\n"},
      {"absolute form of OPTIONS *", line("OPTIONS http://a.tld HTTP/1.1"),
       "head OPTIONS * 1.1 authority=a.tld host=a.tld port=0 none:0 keep\ncomplete\n"},
      {"absolute form in 1.0 tells the host", "GET http://b.tld:8080/ HTTP/1.0\r\n\r\n",
       "head GET / 1.0 authority=b.tld:8080 host=b.tld port=8080 none:0\ncomplete\n"},
      {"sized", post("Content-Length: 5\r\n\r\nhello"), kPost + "sized:5 keep\nbody hello\ncomplete\n"},
      {"sized, blanks around", post("Content-Length: \t 5  \r\n\r\nhello"),
       kPost + "sized:5 keep\nbody hello\ncomplete\n"},
      {"sized, zero", post("Content-Length: 0\r\n\r\n"), kPost + "sized:0 keep\ncomplete\n"},
      {"sized, then another", post("Content-Length: 0002\r\n\r\nhi") + get(""),
       kPost + "sized:2 keep\nbody hi\ncomplete\n" + kGet + "\ncomplete\n"},
      {"chunked", chunks("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n") + get(""),
       kChunked + "body hello world\ncomplete\n" + kGet + "\ncomplete\n"},
      {"chunked, any case", post("Transfer-encoding: CHUNKED \r\n\r\n0\r\n\r\n"), kChunked + "complete\n"},
      {"chunk size forms", chunks("00000000000000A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n"),
       kChunked + "body 01234567890123456789\ncomplete\n"},
      {"chunk extensions are dropped", chunks("2;a=b;c=\"d;e\"\r\nhi\r\n0;last\r\n\r\n"),
       kChunked + "body hi\ncomplete\n"},
      {"trailers", chunks("0\r\nGrpc-Status: 0\r\nX:y\r\n\r\n"), kChunked + "complete [Grpc-Status: 0] [X: y]\n"},
      {"trailers that may not stand there go",
       chunks("0\r\nHost: x\r\nCookie: a\r\nContent-Type: b\r\nX-Forwarded-For: c\r\n"
              "Connection: close\r\nOk: d\r\nAuthorization: e\r\n\r\n"),
       kChunked + "complete [Ok: d]\n"},
      {"expect", post("Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx"),
       kPost + "sized:1 keep expect [Expect: 100-Continue]\nbody x\ncomplete\n"},
      {"expect without content", get("Expect: 100-continue\r\n"), kGet + "\ncomplete\n"},
      {"expect in 1.0 is ignored", "POST / HTTP/1.0\r\nExpect: else\r\nContent-Length: 1\r\n\r\nx",
       "head POST / 1.0 authority= host= port=0 sized:1\nbody x\ncomplete\n"},
      {"upgrade", get("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"),
       kGet + " upgrade [Connection: keep-alive, Upgrade] [Upgrade: websocket]\ncomplete\n"},
      {"upgrade, any token", get("Connection: upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n"),
       "head GET / 1.1 authority=a.tld host=a.tld port=0 sized:0 keep upgrade [Connection: upgrade] [Upgrade: "
       "SPDY/3.1]\n"
       "complete\n"},
      {"upgrade not named in Connection", get("Upgrade: websocket\r\n"), kGet + "\ncomplete\n"},
      {"upgrade in 1.0", "GET / HTTP/1.0\r\nHost: a.tld\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
       "head GET / 1.0 authority=a.tld host=a.tld port=0 none:0 [Connection: upgrade]\ncomplete\n"},
      {"Connection: upgrade alone", get("Connection: upgrade\r\n"), kGet + " [Connection: upgrade]\ncomplete\n"},
      {"h2c is no upgrade of ours",
       get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"),
       kGet + " [Connection: Upgrade, HTTP2-Settings] [HTTP2-Settings: AAM]\ncomplete\n"},
      {"h2c with content", post("Connection: Upgrade\r\nUpgrade: H2C\r\nContent-Length: 2\r\n\r\nhi"),
       kPost + "sized:2 keep [Connection: Upgrade]\nbody hi\ncomplete\n"},
  };
}

struct Bad {
  const char* name;
  std::string bytes;
  int status;
};

std::vector<Bad> bad() {
  using namespace std::string_literals;
  return {
      // The request line.
      {"binary", "\x16\x03\x01\x02\x00\x01"s, 400},
      {"leading space", " GET / HTTP/1.1\r\n\r\n", 400},
      {"method with a colon", "GE:T / HTTP/1.1\r\n\r\n", 400},
      {"method with a quote", "\"GET\" / HTTP/1.1\r\n\r\n", 400},
      {"method too long", std::string(65, 'M') + " / HTTP/1.1\r\n\r\n", 501},
      {"tab for a space", "GET\t/\tHTTP/1.1\r\nHost: a.tld\r\n\r\n", 400},
      {"two spaces after the method", line("GET  / HTTP/1.1"), 400},
      {"two spaces before the version", line("GET /  HTTP/1.1"), 400},
      {"space at the end", line("GET / HTTP/1.1 "), 400},
      {"space in the target", line("GET /a b HTTP/1.1"), 400},
      {"tab in the target", line("GET /a\tb HTTP/1.1"), 400},
      {"HTTP/0.9", "GET /\r\n\r\n", 400},
      {"method only", "GET\r\n\r\n", 400},
      {"no target", "GET HTTP/1.1\r\n\r\n", 400},
      {"no version", "GET / \r\n\r\n", 400},
      {"lower case version", line("GET / http/1.1"), 400},
      {"version 1", line("GET / HTTP/1"), 400},
      {"version 1.11", line("GET / HTTP/1.11"), 400},
      {"version 01.1", line("GET / HTTP/01.1"), 400},
      {"other protocol", line("GET / ICY/1.0"), 400},
      {"version 1.2", line("GET / HTTP/1.2"), 505},
      {"version 2.0", line("GET / HTTP/2.0"), 505},
      {"version 0.9 said", line("GET / HTTP/0.9"), 505},
      {"CR alone ends the line", "GET / HTTP/1.1\rHost: a.tld\r\n\r\n", 400},
      {"LF alone ends the line", "GET / HTTP/1.1\nHost: a.tld\r\n\r\n", 400},
      {"LF alone before", "\nGET / HTTP/1.1\r\nHost: a.tld\r\n\r\n", 400},
      {"CR alone before", "\rGET / HTTP/1.1\r\nHost: a.tld\r\n\r\n", 400},
      {"nine empty lines before", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n" + get(""), 400},
      {"NUL in the target", line("GET /a\0b HTTP/1.1"s), 400},
      // Targets.
      {"CONNECT", "CONNECT a.tld:443 HTTP/1.1\r\nHost: a.tld:443\r\n\r\n", 405},
      {"authority form", line("GET a.tld:80 HTTP/1.1"), 400},
      {"fragment", line("GET /a#b HTTP/1.1"), 400},
      {"fragment in absolute form", line("GET http://a.tld/#b HTTP/1.1"), 400},
      {"fragment ends the authority", line("GET http://a.tld#@b.tld/ HTTP/1.1"), 400},
      {"raw 0x80", line("GET /\x80 HTTP/1.1"), 400},
      {"raw UTF-8 in a query", line("GET /?\xc3\xa9 HTTP/1.1"), 400},
      {"DEL", line("GET /\x7f HTTP/1.1"), 400},
      {"asterisk without OPTIONS", line("GET * HTTP/1.1"), 400},
      {"asterisk and more", line("OPTIONS *a HTTP/1.1"), 400},
      {"relative", line("GET a/b HTTP/1.1"), 400},
      {"backslash", line("GET \\a HTTP/1.1"), 400},
      {"other scheme", line("GET ftp://a.tld/ HTTP/1.1"), 400},
      {"one slash", line("GET http:/a.tld/ HTTP/1.1"), 400},
      {"no authority", line("GET http:///x HTTP/1.1"), 400},
      {"absolute form disagrees", line("GET http://b.tld/ HTTP/1.1"), 400},
      {"absolute form, other port", line("GET http://a.tld:8080/ HTTP/1.1"), 400},
      {"absolute form, default port of the other scheme", line("GET https://a.tld:80/ HTTP/1.1"), 400},
      {"absolute form, user", line("GET http://u@a.tld/ HTTP/1.1"), 400},
      {"absolute form without Host", "GET http://a.tld/ HTTP/1.1\r\n\r\n", 400},
      // Host.
      {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two Hosts", get("Host: b.tld\r\n"), 400},
      {"two equal Hosts", get("Host: a.tld\r\n"), 400},
      {"two Hosts in 1.0", "GET / HTTP/1.0\r\nHost: a.tld\r\nhost: a.tld\r\n\r\n", 400},
      {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
      {"empty Host in 1.0", "GET / HTTP/1.0\r\nHost: \r\n\r\n", 400},
      {"Host list", "GET / HTTP/1.1\r\nHost: a.tld, b.tld\r\n\r\n", 400},
      {"Host port with a letter", "GET / HTTP/1.1\r\nHost: name:8x\r\n\r\n", 400},
      {"Host port 0", "GET / HTTP/1.1\r\nHost: name:0\r\n\r\n", 400},
      {"Host port empty", "GET / HTTP/1.1\r\nHost: name:\r\n\r\n", 400},
      {"Host with a user", "GET / HTTP/1.1\r\nHost: u@name\r\n\r\n", 400},
      {"Host with a path", "GET / HTTP/1.1\r\nHost: name/x\r\n\r\n", 400},
      // Field syntax.
      {"obs-fold", get("A: b\r\n c\r\n"), 400},
      {"obs-fold with a tab", get("A: b\r\n\tc\r\n"), 400},
      {"obs-fold of a framing field", post("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"), 400},
      {"space before the first field", "GET / HTTP/1.1\r\n Host: a.tld\r\n\r\n", 400},
      {"blank line of spaces", "GET / HTTP/1.1\r\nHost: a.tld\r\n \r\n\r\n", 400},
      {"space before a colon", get("A : b\r\n"), 400},
      {"tab before a colon", get("A\t: b\r\n"), 400},
      {"space before the colon of Content-Length", post("Content-Length : 5\r\n\r\nhello"), 400},
      {"space before the colon of Transfer-Encoding", post("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), 400},
      {"no colon", get("A\r\n"), 400},
      {"empty name", get(": b\r\n"), 400},
      {"name with a space", get("A b: c\r\n"), 400},
      {"name with a quote", get("A\"b: c\r\n"), 400},
      {"name with 0x80", get("A\x80: c\r\n"), 400},
      {"name with a slash", get("A/b: c\r\n"), 400},
      {"NUL in a name", get("A\0b: c\r\n"s), 400},
      {"NUL in a value", get("A: b\0c\r\n"s), 400},
      {"control in a value", get("A: b\x01\r\n"), 400},
      {"escape in a value", get("A: \x1b[31m\r\n"), 400},
      {"DEL in a value", get("A: b\x7f\r\n"), 400},
      {"bare CR in a value", get("A: b\rc\r\n"), 400},
      {"bare LF in a value", get("A: b\nc: d\r\n"), 400},
      {"bare LF ends the head", "GET / HTTP/1.1\r\nHost: a.tld\r\n\n", 400},
      {"CR CR LF", get("A: b\r\r\n"), 400},
      // Framing.
      {"Content-Length twice", post("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"), 400},
      {"Content-Length twice, equal", post("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), 400},
      {"Content-Length list", post("Content-Length: 5, 5\r\n\r\nhello"), 400},
      {"Content-Length list of unequal", post("Content-Length: 5,6\r\n\r\nhello"), 400},
      {"Content-Length with a plus", post("Content-Length: +5\r\n\r\nhello"), 400},
      {"Content-Length negative", post("Content-Length: -5\r\n\r\nhello"), 400},
      {"Content-Length with a space in it", post("Content-Length: 1 5\r\n\r\nhello"), 400},
      {"Content-Length empty", post("Content-Length:\r\n\r\n"), 400},
      {"Content-Length blank", post("Content-Length: \t\r\n\r\n"), 400},
      {"Content-Length hexadecimal", post("Content-Length: 0x5\r\n\r\nhello"), 400},
      {"Content-Length with a point", post("Content-Length: 5.0\r\n\r\nhello"), 400},
      {"Content-Length with a letter", post("Content-Length: 5a\r\n\r\nhello"), 400},
      {"Content-Length quoted", post("Content-Length: \"5\"\r\n\r\nhello"), 400},
      {"Content-Length over 2^64", post("Content-Length: 18446744073709551621\r\n\r\nhello"), 400},
      {"Content-Length over 2^62", post("Content-Length: 4611686018427387905\r\n\r\nhello"), 400},
      {"both", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
      {"both, other order", post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"), 400},
      {"both, coding unknown", post("Transfer-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"), 400},
      {"coding in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"chunked twice", post("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), 400},
      {"chunked in two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
      {"chunked and identity in two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"),
       400},
      {"chunked not last", post("Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"), 400},
      {"coding empty", post("Transfer-Encoding:\r\n\r\n"), 400},
      {"coding list with an empty end", post("Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"), 400},
      {"coding list with an empty start", post("Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"), 400},
      {"coding with a parameter", post("Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n"), 400},
      {"coding quoted", post("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), 400},
      {"coding with a vertical tab",
       post("Transfer-Encoding: \x0b"
            "chunked\r\n\r\n0\r\n\r\n"),
       400},
      {"coding of two words", post("Transfer-Encoding: x chunked\r\n\r\n0\r\n\r\n"), 400},
      {"gzip", post("Transfer-Encoding: gzip\r\n\r\n"), 501},
      {"identity", post("Transfer-Encoding: identity\r\n\r\n"), 501},
      {"gzip, chunked", post("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501},
      {"xchunked", post("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), 501},
      {"chunkedx", post("Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n"), 501},
      // Chunks.
      {"chunk size empty", chunks("\r\n"), 400},
      {"chunk size with 0x", chunks("0x2\r\nhi\r\n"), 400},
      {"chunk size with a plus", chunks("+2\r\nhi\r\n"), 400},
      {"chunk size negative", chunks("-2\r\nhi\r\n"), 400},
      {"chunk size with a leading space", chunks(" 2\r\nhi\r\n"), 400},
      {"chunk size with a trailing space", chunks("2 \r\nhi\r\n"), 400},
      {"space before an extension", chunks("2 ;a\r\nhi\r\n"), 400},
      {"chunk size with an underscore", chunks("1_0\r\n"), 400},
      {"chunk size with a NUL", chunks("2\0\r\nhi\r\n"s), 400},
      {"chunk size over 2^60", chunks("1000000000000001\r\n"), 400},
      {"chunk size of 17 digits", chunks("00000000000000002\r\nhi\r\n"), 400},
      {"chunk size over 2^64", chunks("10000000000000002\r\nhi\r\n"), 400},
      {"chunk line ends with LF", chunks("2\nhi\r\n0\r\n\r\n"), 400},
      {"chunk line ends with CR", chunks("2\rhi\r\n0\r\n\r\n"), 400},
      {"chunk ends with LF", chunks("2\r\nhi\n0\r\n\r\n"), 400},
      {"chunk too long for its size", chunks("2\r\nhix\r\n0\r\n\r\n"), 400},
      {"chunk too short for its size", chunks("3\r\nhi\r\n0\r\n\r\n"), 400},
      {"LF in an extension", chunks("2;a\nb\r\nhi\r\n"), 400},
      {"NUL in an extension", chunks("2;a\0\r\nhi\r\n"s), 400},
      {"CR in an extension", chunks("2;a\rb\r\nhi\r\n"), 400},
      {"long extension", chunks("2;" + std::string(600, 'a') + "\r\nhi\r\n"), 400},
      {"trailer without a colon", chunks("0\r\nfoo\r\n\r\n"), 400},
      {"trailer with a space before the colon", chunks("0\r\nfoo : x\r\n\r\n"), 400},
      {"trailer begins with a space", chunks("0\r\n foo: x\r\n\r\n"), 400},
      {"trailer folded", chunks("0\r\nfoo: x\r\n y\r\n\r\n"), 400},
      {"trailer ends with LF", chunks("0\r\nfoo: x\n\r\n"), 400},
      {"trailers end with LF", chunks("0\r\nfoo: x\r\n\n"), 400},
      {"last chunk ends with LF", chunks("0\n\r\n"), 400},
      {"Content-Length in trailers", chunks("0\r\nContent-Length: 5\r\n\r\n"), 400},
      {"Transfer-Encoding in trailers", chunks("0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400},
      // The rest.
      {"unknown expectation", post("Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx"), 417},
      {"unknown expectation without content", get("Expect: 200-ok\r\n"), 417},
      {"a second expectation", post("Expect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n\r\nx"), 417},
      {"upgrade with content", post("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi"), 400},
      {"upgrade with chunks", post("Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n"),
       400},
      {"upgrade to no token", get("Connection: upgrade\r\nUpgrade: web socket\r\n"), 400},
      {"upgrade in two fields", get("Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n"), 400},
      {"33 connection options",
       get("Connection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\nConnection: a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a\r\n"), 400},
  };
}

}  // namespace

TEST_CASE("request reader: what is well formed is understood, however it is cut") {
  for (const Good& row : good()) {
    CAPTURE(row.name);
    const Run whole = read_requests({row.bytes});
    CHECK(whole.text == row.says);
    CHECK(whole.idle);
    CHECK(whole.left == 0);
    CHECK(read_requests(cut_each(row.bytes, 1)).text == row.says);
    for (size_t cut = 1; cut < row.bytes.size(); ++cut) {
      const Run cut_run = read_requests(cut_at(row.bytes, cut));
      if (cut_run.text != row.says) {
        CAPTURE(cut);
        CHECK(cut_run.text == row.says);
      }
    }
  }
}

TEST_CASE("request reader: what a smuggler could use is refused, however it is cut") {
  for (const Bad& row : bad()) {
    CAPTURE(row.name);
    const std::string says = read_requests({row.bytes}).text;
    const size_t at = says.rfind("error ");
    REQUIRE(at != std::string::npos);
    CAPTURE(says);
    CHECK(says.substr(at, 10) == fmt::format("error {} ", row.status));
    CHECK(says.size() > at + 11);
    CHECK(read_requests(cut_each(row.bytes, 1)).text == says);
    for (size_t cut = 1; cut < row.bytes.size(); ++cut) {
      const Run cut_run = read_requests(cut_at(row.bytes, cut));
      if (cut_run.text != says) {
        CAPTURE(cut);
        CHECK(cut_run.text == says);
      }
    }
  }
}

TEST_CASE("request reader: after an error nothing more is read") {
  H1RequestReader reader;
  RequestHead head;
  HeaderList trailers;
  Bytes input = as_bytes("GET / HTTP/1.1\r\nA : b\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(reader.next(input, head, trailers) == H1Event::error);
  Bytes fresh = as_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(reader.next(fresh, head, trailers) == H1Event::error);
  CHECK(reader.failure().status == 400);
}

TEST_CASE("request reader: an incomplete head stays in the input") {
  H1RequestReader reader;
  RequestHead head;
  HeaderList trailers;
  const std::string text = "GET / HTTP/1.1\r\nHost: a.tld\r\n\r\n";
  CHECK(reader.idle());
  for (size_t length = 0; length < text.size(); ++length) {
    Bytes input = as_bytes(std::string_view(text).substr(0, length));
    REQUIRE(reader.next(input, head, trailers) == H1Event::need_more);
    REQUIRE(input.size() == length);
    REQUIRE(reader.idle() == (length == 0));
  }
  Bytes input = as_bytes(text);
  CHECK(reader.next(input, head, trailers) == H1Event::head);
  CHECK(input.empty());
  CHECK_FALSE(reader.idle());
  CHECK(reader.next(input, head, trailers) == H1Event::complete);
  CHECK(reader.idle());
}

TEST_CASE("request reader: empty lines between messages do not count as a request") {
  H1RequestReader reader;
  RequestHead head;
  HeaderList trailers;
  Bytes input = as_bytes("\r\n\r\n\r");
  CHECK(reader.next(input, head, trailers) == H1Event::need_more);
  CHECK(reader.idle());
  CHECK(input.size() == 1);
}

TEST_CASE("request reader: limits") {
  const H1Limits limits{200, 3, 50};
  struct Row {
    const char* name;
    std::string bytes;
    const char* says;
  };
  const auto fields = [](size_t length) {
    return "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(length, 'x') + "\r\n\r\n";
  };
  const std::vector<Row> rows = {
      {"head at its limit", fields(200 - fields(0).size()), "head"},
      {"head one over", fields(201 - fields(0).size()), "error 431"},
      {"head without an end", fields(500).substr(0, 300), "error 431"},
      {"target at its limit", "GET /" + std::string(49, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", "head"},
      {"target one over", "GET /" + std::string(50, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n", "error 414"},
      {"target without an end", "GET /" + std::string(180, 'a'), "error 414"},
      {"fields at their limit", "GET / HTTP/1.1\r\nHost: a\r\nB:\r\nC:\r\n\r\n", "head"},
      {"one field over", "GET / HTTP/1.1\r\nHost: a\r\nB:\r\nC:\r\nD:\r\n\r\n", "error 431"},
      {"method without an end", std::string(190, 'A'), "error 414"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const std::string says = read_requests({row.bytes}, limits).text;
    CHECK(says.substr(0, std::string_view(row.says).size()) == row.says);
    CHECK(read_requests(cut_each(row.bytes, 1), limits).text == says);
  }
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
  const std::string trailer = "X: " + std::string(193, 'x');
  CHECK(read_requests({head + trailer + "\r\n\r\n"}, limits).text.find("complete") != std::string::npos);
  CHECK(read_requests({head + trailer + "x\r\n\r\n"}, limits).text.find("error 431") != std::string::npos);
  CHECK(read_requests({head + trailer + std::string(50, 'x')}, limits).text.find("error 431") != std::string::npos);
}

TEST_CASE("request reader: extensions on tiny chunks are bounded over the message") {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string tiny = head, signed_chunks = head;
  for (int i = 0; i < 100; ++i) tiny += "1;" + std::string(400, 'e') + "\r\nx\r\n";
  CHECK(read_requests({tiny}).text.find("error 400 chunk extensions too long") != std::string::npos);
  for (int i = 0; i < 1000; ++i)
    signed_chunks += "400;chunk-signature=" + std::string(64, '0') + "\r\n" + std::string(1024, 'x') + "\r\n";
  signed_chunks += "0\r\n\r\n";
  CHECK(read_requests({signed_chunks}).text.find("complete") != std::string::npos);
}

TEST_CASE("request reader: content is a view into the input, as much as is there") {
  H1RequestReader reader;
  RequestHead head;
  HeaderList trailers;
  const std::string text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234567";
  Bytes input = as_bytes(text);
  REQUIRE(reader.next(input, head, trailers) == H1Event::head);
  REQUIRE(reader.next(input, head, trailers) == H1Event::body);
  CHECK(as_text(reader.body()) == "01234567");
  CHECK(reader.body().data() == reinterpret_cast<const uint8_t*>(text.data()) + text.size() - 8);
  CHECK(reader.next(input, head, trailers) == H1Event::need_more);
  CHECK(reader.body().empty());
  Bytes rest = as_bytes("89GET");
  REQUIRE(reader.next(rest, head, trailers) == H1Event::body);
  CHECK(as_text(reader.body()) == "89");
  CHECK(reader.next(rest, head, trailers) == H1Event::complete);
  CHECK(as_text(rest) == "GET");
}

TEST_CASE("request reader: a head that comes byte by byte costs one pass") {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(30000, 'x');
  H1RequestReader reader;
  RequestHead head;
  HeaderList trailers;
  // Not a clock: what was seen before is made unreadable as the same head, and is not looked at again.
  std::string wrong = text;
  Bytes input = as_bytes(text);
  REQUIRE(reader.next(input, head, trailers) == H1Event::need_more);
  wrong[100] = '\0';
  Bytes again = as_bytes(wrong);
  CHECK(reader.next(again, head, trailers) == H1Event::need_more);
}

TEST_CASE("request reader: a reader holds little while it waits") { CHECK(sizeof(H1RequestReader) <= 128); }
