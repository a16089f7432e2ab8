#include "http/forwarding.h"

#include "catch.h"
#include "http/transcript.h"

using namespace sallyport;
using namespace sallyport::http;

namespace {

Address ip(std::string_view text, uint16_t port = 4711) { return *Address::parse_ip(text, port); }

RequestHead request(const std::vector<std::pair<const char*, const char*>>& fields) {
  RequestHead head;
  head.method = "GET";
  head.target = "/";
  head.authority = "a.tld:8443";
  head.host = "a.tld";
  for (auto [name, value] : fields) head.fields.add(name, value);
  return head;
}

using Fields = std::vector<std::pair<const char*, const char*>>;
const std::string kOurs =
    " [X-Forwarded-For: 192.0.2.1] [X-Forwarded-Proto: https] [X-Forwarded-Host: a.tld:8443] [X-Forwarded-Port: 443]"
    " [X-Real-IP: 192.0.2.1]";

}  // namespace

TEST_CASE("forwarding: what is hop-by-hop stays here, and who the client is goes along") {
  struct Row {
    const char* name;
    Fields fields;
    std::string rest;  // what is left besides our own
    bool upgrade = false;
  };
  const std::vector<Row> rows = {
      {"nothing", {}, ""},
      {"end-to-end", {{"Accept", "a"}, {"Cookie", "b"}, {"Cookie", "c"}}, " [Accept: a] [Cookie: b] [Cookie: c]"},
      {"the usual ones",
       {{"Connection", "keep-alive"},
        {"Keep-Alive", "5"},
        {"Proxy-Connection", "x"},
        {"Transfer-Encoding", "x"},
        {"Proxy-Authenticate", "x"},
        {"Proxy-Authorization", "x"},
        {"HTTP2-Settings", "x"},
        {"Upgrade", "x"}},
       ""},
      {"named in Connection",
       {{"Connection", "X-A , x-b,close"}, {"x-a", "1"}, {"X-B", "2"}, {"X-C", "3"}, {"x-A", "4"}},
       " [X-C: 3]"},
      {"named in a second Connection", {{"Connection", "close"}, {"X-A", "1"}, {"connection", "X-A"}}, ""},
      {"named, end-to-end of the client's own",
       {{"Connection", "authorization, cookie"}, {"Authorization", "x"}, {"Cookie", "y"}},
       ""},
      {"our own cannot be named away",
       {{"Connection", "X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, Host, Content-Length"}},
       ""},
      {"TE trailers", {{"TE", "trailers"}, {"Connection", "TE"}}, " [TE: trailers]"},
      {"TE with more", {{"TE", "gzip;q=0.5, trailers"}}, " [TE: trailers]"},
      {"TE without trailers", {{"TE", "gzip"}}, ""},
      {"upgrade", {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}, " [Upgrade: websocket]", true},
      {"told lies",
       {{"X-Forwarded-For", "10.0.0.1"},
        {"X-Forwarded-Proto", "http"},
        {"X-Forwarded-Host", "b.tld"},
        {"X-Forwarded-Port", "1"},
        {"X-Real-IP", "10.0.0.1"},
        {"Forwarded", "for=10.0.0.1"}},
       ""},
      {"lies in other spelling",
       {{"X_Forwarded_For", "10.0.0.1"},
        {"x_real-ip", "10.0.0.1"},
        {"Content_Length", "5"},
        {"Transfer_Encoding", "chunked"},
        {"my_field", "1"}},
       " [my_field: 1]"},
      {"Trailer stays", {{"Trailer", "Sum"}}, " [Trailer: Sum]"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    RequestHead head = request(row.fields);
    forward_request(head, {ip("192.0.2.1"), false, true, 443}, row.upgrade);
    CHECK(describe(head.fields) == row.rest + kOurs);
  }
}

TEST_CASE("forwarding: a trusted peer is believed and extended") {
  const auto forwarded = [](const Fields& fields, bool tls = true) {
    RequestHead head = request(fields);
    forward_request(head, {ip("10.0.0.1"), true, tls, 443}, false);
    std::string out;
    for (const char* name :
         {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Real-IP", "Forwarded"})
      out += fmt::format("{} ", head.fields.find(name).value_or("-"));
    CHECK(head.fields.count(HeaderId::x_forwarded_for) == 1);
    return out;
  };
  CHECK(forwarded({}) == "10.0.0.1 https a.tld:8443 443 10.0.0.1 - ");
  CHECK(forwarded({{"X-Forwarded-For", "192.0.2.1"}, {"X-Forwarded-For", "198.51.100.1, 10.0.0.2"}}) ==
        "192.0.2.1, 198.51.100.1, 10.0.0.2, 10.0.0.1 https a.tld:8443 443 10.0.0.1 - ");
  CHECK(forwarded({{"X-Forwarded-For", ""}}) == "10.0.0.1 https a.tld:8443 443 10.0.0.1 - ");
  CHECK(forwarded({{"X-Forwarded-Proto", "https"},
                   {"X-Forwarded-Host", "b.tld"},
                   {"X-Forwarded-Port", "8443"},
                   {"X-Real-IP", "192.0.2.1"},
                   {"Forwarded", "for=x"}},
                  false) == "10.0.0.1 https b.tld 8443 192.0.2.1 - ");
  CHECK(forwarded({{"X-Forwarded-Proto", "https"}}, false) == "10.0.0.1 https a.tld:8443 443 10.0.0.1 - ");
  CHECK(forwarded({{"X-Forwarded-Proto", "http"}}) == "10.0.0.1 http a.tld:8443 80 10.0.0.1 - ");
  CHECK(forwarded({{"X-Forwarded-For", "192.0.2.1"}, {"Connection", "X-Forwarded-For"}}) ==
        "192.0.2.1, 10.0.0.1 https a.tld:8443 443 10.0.0.1 - ");
}

TEST_CASE("forwarding: peers of every kind") {
  RequestHead v6 = request({});
  forward_request(v6, {ip("2001:db8::1"), false, false, 8080}, false);
  CHECK(describe(v6.fields) ==
        " [X-Forwarded-For: 2001:db8::1] [X-Forwarded-Proto: http] [X-Forwarded-Host: a.tld:8443]"
        " [X-Forwarded-Port: 8080] [X-Real-IP: 2001:db8::1]");
  RequestHead local = request({{"X-Forwarded-For", "10.0.0.1"}});
  local.authority.clear();
  forward_request(local, {*Address::parse("unix:/run/x"), false, false, 0}, false);
  CHECK(describe(local.fields) == " [X-Forwarded-Proto: http]");
}

TEST_CASE("forwarding: a response loses what was between the server and us") {
  struct Row {
    const char* name;
    int status;
    Fields fields;
    std::string says;
    bool upgrade = false;
  };
  const std::vector<Row> rows = {
      {"the usual ones",
       200,
       {{"Date", "d"},
        {"Connection", "close, X-A"},
        {"X-A", "1"},
        {"Keep-Alive", "5"},
        {"Proxy-Connection", "x"},
        {"Transfer-Encoding", "x"},
        {"TE", "x"},
        {"Upgrade", "h2"},
        {"Proxy-Authenticate", "x"},
        {"Server", "s"},
        {"Set-Cookie", "a"},
        {"Set-Cookie", "b"}},
       " [Date: d] [Server: s] [Set-Cookie: a] [Set-Cookie: b]"},
      {"101", 101, {{"Connection", "Upgrade"}, {"Upgrade", "websocket"}}, " [Upgrade: websocket]", true},
      {"426",
       426,
       {{"Date", "d"}, {"Connection", "Upgrade"}, {"Upgrade", "websocket"}},
       " [Date: d] [Upgrade: websocket]"},
      {"407", 407, {{"Date", "d"}, {"Proxy-Authenticate", "Basic"}}, " [Date: d] [Proxy-Authenticate: Basic]"},
      {"interim gets no date", 103, {{"Link", "x"}}, " [Link: x]"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    ResponseHead head;
    head.status = row.status;
    for (auto [name, value] : row.fields) head.fields.add(name, value);
    forward_response(head, row.upgrade);
    CHECK(describe(head.fields) == row.says);
  }
  ResponseHead undated;
  undated.status = 200;
  forward_response(undated, false);
  CHECK(undated.fields.find(HeaderId::date));
}

TEST_CASE("client address: the rightmost one that is not trusted") {
  const std::vector<Network> trusted = {*Network::parse("10.0.0.0/8"), *Network::parse("fd00::/8")};
  struct Row {
    const char* name;
    const char* peer;
    Fields fields;
    const char* says;
  };
  const std::vector<Row> rows = {
      {"nothing told", "10.0.0.1", {}, "10.0.0.1"},
      {"peer not trusted", "192.0.2.9", {{"X-Forwarded-For", "198.51.100.1"}}, "192.0.2.9"},
      {"one", "10.0.0.1", {{"X-Forwarded-For", "198.51.100.1"}}, "198.51.100.1"},
      {"a lie further left", "10.0.0.1", {{"X-Forwarded-For", "1.2.3.4, 198.51.100.1, 10.0.0.2"}}, "198.51.100.1"},
      {"several fields",
       "10.0.0.1",
       {{"X-Forwarded-For", "1.2.3.4"}, {"X-Forwarded-For", "198.51.100.1"}, {"X-Forwarded-For", "10.1.1.1"}},
       "198.51.100.1"},
      {"only trusted ones", "10.0.0.1", {{"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}}, "10.0.0.1"},
      {"no address", "10.0.0.1", {{"X-Forwarded-For", "unknown"}}, "10.0.0.1"},
      {"no address hides what is left of it",
       "10.0.0.1",
       {{"X-Forwarded-For", "198.51.100.1, x, 10.0.0.2"}},
       "10.0.0.1"},
      {"no address further left", "10.0.0.1", {{"X-Forwarded-For", "x, 198.51.100.1"}}, "198.51.100.1"},
      {"with a port", "10.0.0.1", {{"X-Forwarded-For", "198.51.100.1:4711"}}, "198.51.100.1"},
      {"port out of range", "10.0.0.1", {{"X-Forwarded-For", "198.51.100.1:65536"}}, "10.0.0.1"},
      {"IPv6", "fd00::1", {{"X-Forwarded-For", "2001:db8::1"}}, "2001:db8::1"},
      {"IPv6 in brackets", "10.0.0.1", {{"X-Forwarded-For", "[2001:db8::1]"}}, "2001:db8::1"},
      {"IPv6 with a port", "10.0.0.1", {{"X-Forwarded-For", "[2001:db8::1]:80"}}, "2001:db8::1"},
      {"IPv4-mapped", "10.0.0.1", {{"X-Forwarded-For", "198.51.100.1, ::ffff:10.0.0.2"}}, "198.51.100.1"},
      {"Forwarded",
       "10.0.0.1",
       {{"Forwarded", "for=1.2.3.4, proto=https;For=\"[2001:db8::1]:80\";by=x, for=10.0.0.2"}},
       "2001:db8::1"},
      {"Forwarded, hidden name", "10.0.0.1", {{"Forwarded", "for=198.51.100.1, for=_gone"}}, "10.0.0.1"},
      {"Forwarded without for", "10.0.0.1", {{"Forwarded", "for=198.51.100.1, proto=https"}}, "10.0.0.1"},
      {"both: X-Forwarded-For counts",
       "10.0.0.1",
       {{"Forwarded", "for=1.2.3.4"}, {"X-Forwarded-For", "198.51.100.1"}},
       "198.51.100.1"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const RequestHead head = request(row.fields);
    CHECK(client_address(head.fields, ip(row.peer), trusted).ip_text() == row.says);
  }
}
