#include "http/h2_fields.h"

#include "catch.h"
#include "http/h2_world.h"

using namespace sallyport;
using namespace sallyport::http;

namespace {

using Section = H2FieldReader::Section;
using Verdict = H2FieldReader::Verdict;

const char* name_of(Verdict verdict) {
  return verdict == Verdict::good ? "good" : verdict == Verdict::too_large ? "too large" : "malformed";
}

std::string read_request(const Fields& fields, bool ended = true, H2FieldLimits limits = {}) {
  H2FieldReader reader;
  RequestHead head;
  reader.begin(Section::request, head.fields, limits);
  for (const auto& [name, value] : fields) reader.add(name, value);
  const Verdict verdict = reader.finish_request(head, ended);
  if (verdict != Verdict::good) return fmt::format("{}: {}", name_of(verdict), reader.why());
  std::string text = describe(head);
  return head.connect_protocol.empty() ? text : text + " protocol=" + head.connect_protocol;
}

std::string read_response(const Fields& fields, bool ended, bool head_request = false) {
  H2FieldReader reader;
  ResponseHead head;
  reader.begin(Section::response, head.fields, {});
  for (const auto& [name, value] : fields) reader.add(name, value);
  const Verdict verdict = reader.finish_response(head, ended, head_request);
  return verdict == Verdict::good ? describe(head) : fmt::format("{}: {}", name_of(verdict), reader.why());
}

std::string read_trailers(const Fields& fields) {
  H2FieldReader reader;
  HeaderList list;
  reader.begin(Section::trailers, list, {});
  for (const auto& [name, value] : fields) reader.add(name, value);
  const Verdict verdict = reader.finish_trailers();
  return verdict == Verdict::good ? describe(list) : fmt::format("{}: {}", name_of(verdict), reader.why());
}

std::string describe(const H2FieldList& list) {
  std::string out;
  for (const H2Field& field : list.fields)
    out += fmt::format("{}: {}{}\n", field.name, field.value, field.sensitive ? " (never indexed)" : "");
  return out;
}

// get() with one field replaced, or left out when the value is "-".
Fields with(std::string_view name, std::string value) {
  Fields fields = get();
  std::erase_if(fields, [&](const auto& field) { return field.first == name; });
  if (value != "-") fields.insert(fields.begin(), {std::string(name), std::move(value)});
  return fields;
}

const std::string kPlain = "authority=a.example host=a.example port=0 none:0 keep";

}  // namespace

TEST_CASE("h2 fields: requests that are good become heads like any other") {
  struct Row {
    Fields fields;
    bool ended;
    std::string expected;
  };
  const std::vector<Row> rows = {
      {get(), true, "GET / 1.0 " + kPlain},
      {get("/a?b=c%20d&e={f}|"), true, "GET /a?b=c%20d&e={f}| 1.0 " + kPlain},
      {with(":method", "M-SEARCH"), true, "M-SEARCH / 1.0 " + kPlain},
      {with(":scheme", "http"), true, "GET / 1.0 " + kPlain},
      {with(":scheme", "HTTPS"), true, "GET / 1.0 " + kPlain},
      {with(":authority", "A.Example:8443"), true,
       "GET / 1.0 authority=a.example:8443 host=a.example port=8443 none:0 keep"},
      {with(":authority", "a.example."), true, "GET / 1.0 authority=a.example. host=a.example port=0 none:0 keep"},
      {with(":authority", "[2001:db8::1]:1"), true,
       "GET / 1.0 authority=[2001:db8::1]:1 host=[2001:db8::1] port=1 none:0 keep"},
      {with(":authority", "-") + Fields{{"host", "B.example"}}, true,
       "GET / 1.0 authority=b.example host=b.example port=0 none:0 keep"},
      {get() + Fields{{"host", "A.EXAMPLE"}}, true, "GET / 1.0 " + kPlain},
      {get() + Fields{{"host", "a.example:443"}}, true, "GET / 1.0 " + kPlain},
      {with(":scheme", "http") + Fields{{"host", "a.example:80"}}, true, "GET / 1.0 " + kPlain},
      {Fields{{":method", "OPTIONS"}, {":scheme", "https"}, {":authority", "a.example"}, {":path", "*"}}, true,
       "OPTIONS * 1.0 " + kPlain},
      // Bodies.
      {post(), false, "POST / 1.0 authority=a.example host=a.example port=0 chunked:0 keep"},
      {post() + Fields{{"content-length", "5"}}, false,
       "POST / 1.0 authority=a.example host=a.example port=0 sized:5 keep"},
      {post() + Fields{{"content-length", "0"}}, false,
       "POST / 1.0 authority=a.example host=a.example port=0 sized:0 keep"},
      {post() + Fields{{"content-length", "0"}}, true, "POST / 1.0 " + kPlain},
      {post() + Fields{{"expect", "100-continue"}}, false,
       "POST / 1.0 authority=a.example host=a.example port=0 chunked:0 keep expect [expect: 100-continue]"},
      {post() + Fields{{"expect", "100-continue"}}, true, "POST / 1.0 " + kPlain},
      {post() + Fields{{"expect", "100-continue"}, {"content-length", "0"}}, false,
       "POST / 1.0 authority=a.example host=a.example port=0 sized:0 keep"},
      // Fields.
      {get() + Fields{{"cookie", "a=1"}, {"x", ""}, {"cookie", ""}, {"cookie", "b=2"}}, true,
       "GET / 1.0 " + kPlain + " [x: ] [cookie: a=1; b=2]"},
      {get() + Fields{{"te", "trailers"}, {"x", "a\tb \x80\xff"}}, true,
       "GET / 1.0 " + kPlain + " [te: trailers] [x: a\tb \x80\xff]"},
      {get() + Fields{{"te", "Trailers"}}, true, "GET / 1.0 " + kPlain + " [te: Trailers]"},
      // CONNECT, plain and extended.
      {Fields{{":method", "CONNECT"}, {":authority", "a.example:443"}}, false,
       "CONNECT  1.0 authority=a.example:443 host=a.example port=443 chunked:0 keep"},
      {Fields{{":method", "CONNECT"},
              {":protocol", "websocket"},
              {":scheme", "https"},
              {":authority", "a.example"},
              {":path", "/chat"}},
       false, "CONNECT /chat 1.0 authority=a.example host=a.example port=0 chunked:0 keep protocol=websocket"},
      {{{":method", "CONNECT"},
        {":protocol", "spdy/3.1"},
        {":scheme", "https"},
        {":authority", "a.example"},
        {":path", "/exec"}},
       false,
       "CONNECT /exec 1.0 authority=a.example host=a.example port=0 chunked:0 keep protocol=spdy/3.1"},
  };
  for (const Row& row : rows) CHECK(read_request(row.fields, row.ended) == row.expected);
}

TEST_CASE("h2 fields: malformed requests are told from good ones, with the reason") {
  struct Row {
    Fields fields;
    std::string why;
    bool ended = true;
  };
  const Fields connect = {{":method", "CONNECT"},
                          {":protocol", "websocket"},
                          {":scheme", "https"},
                          {":authority", "a.example"},
                          {":path", "/chat"}};
  const auto without = [](Fields fields, std::string_view name) {
    std::erase_if(fields, [&](const auto& field) { return field.first == name; });
    return fields;
  };
  const std::vector<Row> rows = {
      {with(":method", "-"), "no :method"},
      {with(":method", "G ET"), "bad :method"},
      {with(":method", "GET/"), "bad :method"},
      {with(":method", std::string(65, 'A')), "bad :method"},
      {with(":method", ""), "empty pseudo-header field"},
      {with(":scheme", "-"), "no :scheme"},
      {with(":scheme", "ftp"), "bad :scheme"},
      {with(":scheme", "https "), "bad character in a field value"},
      {with(":path", "-"), "no :path"},
      {with(":path", ""), "empty pseudo-header field"},
      {with(":path", "a"), "bad :path"},
      {with(":path", "*"), "bad :path"},
      {with(":path", "/a b"), "bad :path"},
      {with(":path", "/a#b"), "bad :path"},
      {with(":path", "/a\x7f"), "bad character in a field value"},
      {with(":path", "/\x80"), "bad :path"},
      {with(":path", "https://a.example/"), "bad :path"},
      {with(":path", "/ HTTP/1.1\r\nHost: b"), "bad character in a field value"},
      {with(":authority", "-"), "neither :authority nor Host"},
      {with(":authority", ""), "empty pseudo-header field"},
      {with(":authority", "u@a.example"), "bad :authority"},
      {with(":authority", "a.example:"), "bad :authority"},
      {with(":authority", "a.example:0"), "bad :authority"},
      {with(":authority", "a.example/x"), "bad :authority"},
      {with(":authority", "a.example,b.example"), "bad :authority"},
      {with(":authority", "-") + Fields{{"host", ""}}, "bad Host"},
      {with(":authority", "-") + Fields{{"host", "a b"}}, "bad Host"},
      {get() + Fields{{"host", "b.example"}}, ":authority and Host disagree"},
      {get() + Fields{{"host", "a.example:444"}}, ":authority and Host disagree"},
      {get() + Fields{{"host", "a.example:80"}}, ":authority and Host disagree"},
      {get() + Fields{{"host", ""}}, "bad Host"},
      {get() + Fields{{"host", "a.example"}, {"host", "a.example"}}, "repeated Host"},
      // Pseudo-header fields.
      {get() + Fields{{":path", "/"}}, "repeated pseudo-header field"},
      {get() + Fields{{":authority", "a.example"}}, "repeated pseudo-header field"},
      {get() + Fields{{":status", "200"}}, "unknown pseudo-header field"},
      {get() + Fields{{":new", "1"}}, "unknown pseudo-header field"},
      {get() + Fields{{":", "1"}}, "unknown pseudo-header field"},
      {get() + Fields{{":Path", "/"}}, "unknown pseudo-header field"},
      {Fields{{"x", "1"}} + get(), "pseudo-header field after a field"},
      {get() + Fields{{":protocol", "websocket"}}, ":protocol without CONNECT"},
      // Names and values.
      {get() + Fields{{"X-Upper", "1"}}, "upper case in a field name"},
      {get() + Fields{{"", "1"}}, "bad character in a field name"},
      {get() + Fields{{"a b", "1"}}, "bad character in a field name"},
      {get() + Fields{{"a:b", "1"}}, "bad character in a field name"},
      {get() + Fields{{"a\r\nb", "1"}}, "bad character in a field name"},
      {get() + Fields{{"\x80", "1"}}, "bad character in a field name"},
      {get() + Fields{{"a", "1\r\nHost: b"}}, "bad character in a field value"},
      {get() + Fields{{"a", "1\n"}}, "bad character in a field value"},
      {get() + Fields{{"a", std::string("1\0", 2)}}, "bad character in a field value"},
      {get() + Fields{{"a", "\x01"}}, "bad character in a field value"},
      {get() + Fields{{"a", " 1"}}, "bad character in a field value"},
      {get() + Fields{{"a", "1\t"}}, "bad character in a field value"},
      {get() + Fields{{"cookie", "a\rb"}}, "bad character in a field value"},
      // Connection-specific ones.
      {get() + Fields{{"connection", "close"}}, "connection-specific field"},
      {get() + Fields{{"keep-alive", "1"}}, "connection-specific field"},
      {get() + Fields{{"proxy-connection", "x"}}, "connection-specific field"},
      {get() + Fields{{"transfer-encoding", "chunked"}}, "connection-specific field"},
      {get() + Fields{{"upgrade", "h2c"}}, "connection-specific field"},
      {get() + Fields{{"te", "gzip"}}, "TE other than trailers"},
      {get() + Fields{{"te", "trailers, gzip"}}, "TE other than trailers"},
      // Lengths.
      {post() + Fields{{"content-length", "1"}}, "Content-Length without content"},
      {post() + Fields{{"content-length", "1"}, {"content-length", "1"}}, "repeated Content-Length", false},
      {post() + Fields{{"content-length", "1,1"}}, "bad Content-Length", false},
      {post() + Fields{{"content-length", "+1"}}, "bad Content-Length", false},
      {post() + Fields{{"content-length", "-1"}}, "bad Content-Length", false},
      {post() + Fields{{"content-length", "0x1"}}, "bad Content-Length", false},
      {post() + Fields{{"content-length", ""}}, "bad Content-Length", false},
      {post() + Fields{{"content-length", "18446744073709551616"}}, "bad Content-Length", false},
      {post() + Fields{{"content-length", "9223372036854775807"}}, "bad Content-Length", false},
      // CONNECT.
      {Fields{{":method", "CONNECT"}}, "CONNECT without :authority"},
      {without(connect, ":protocol"), "CONNECT with :scheme or :path"},
      {without(connect, ":scheme"), "no :scheme"},
      {without(connect, ":path"), "no :path"},
      {without(connect, ":authority"), "CONNECT without :authority"},
      {without(connect, ":authority") + Fields{{"host", "a.example"}}, "CONNECT without :authority"},
      {without(connect, ":protocol") + Fields{{":protocol", "web socket"}}, "bad :protocol", false},
      {without(connect, ":protocol") + Fields{{":protocol", "spdy/"}}, "bad :protocol", false},
      {without(connect, ":protocol") + Fields{{":protocol", "/3.1"}}, "bad :protocol", false},
      {without(connect, ":protocol") + Fields{{":protocol", "spdy/3/1"}}, "bad :protocol", false},
      {connect + Fields{{"content-length", "3"}}, "extended CONNECT with Content-Length", false},
  };
  for (const Row& row : rows) CHECK(read_request(row.fields, row.ended) == "malformed: " + row.why);
}

TEST_CASE("h2 fields: over a limit a request is too large, counted on, and no bigger in memory") {
  CHECK(read_request(get() + Fields{{"a", std::string(100, 'x')}}, true, {300, 200}) == "too large: ");
  CHECK(read_request(get() + Fields{{"a", "1"}, {"b", "2"}}, true, {1000, 5}) == "too large: ");
  CHECK(read_request(get() + Fields{{"a", "1"}}, true, {1000, 5}).starts_with("GET"));
  // What is wrong before the limit stays wrong.
  CHECK(read_request(with(":method", "a b") + Fields{{"x", std::string(300, 'x')}}, true, {300, 200}) == "too large: ");
  CHECK(read_request(get() + Fields{{"X", "1"}, {"x", std::string(300, 'x')}}, true, {300, 200}) ==
        "malformed: upper case in a field name");
  H2FieldReader reader;
  HeaderList list;
  reader.begin(Section::request, list, {});
  const std::string big(1000, 'x');
  for (int i = 0; i < 1000; ++i) reader.add("name", big);
  CHECK(reader.list_bytes() == 1000 * (4 + 1000 + 32));
  CHECK(list.capacity_bytes() < 100000);
}

TEST_CASE("h2 fields: a reader begins anew each time") {
  H2FieldReader reader;
  RequestHead head;
  reader.begin(Section::request, head.fields, {});
  for (const auto& [name, value] : post() + Fields{{"host", "a.example"}, {"content-length", "4"}, {"cookie", "a"}})
    reader.add(name, value);
  reader.add("BAD", "");
  CHECK(reader.finish_request(head, false) == Verdict::malformed);
  reader.begin(Section::request, head.fields, {});
  for (const auto& [name, value] : with(":authority", "b.example")) reader.add(name, value);
  CHECK(reader.finish_request(head, true) == Verdict::good);
  CHECK(describe(head) == "GET / 1.0 authority=b.example host=b.example port=0 none:0 keep");
  CHECK(head.version_major == 2);
}

TEST_CASE("h2 fields: responses") {
  struct Row {
    Fields fields;
    bool ended;
    std::string expected;
    bool head_request = false;
  };
  const auto status = [](std::string code) { return Fields{{":status", std::move(code)}}; };
  const std::vector<Row> rows = {
      {status("200"), true, "200  1.1 none:0 keep"},
      {status("200"), false, "200  1.1 chunked:0 keep"},
      {status("999"), false, "999  1.1 chunked:0 keep"},
      {status("200") + Fields{{"content-length", "3"}, {"server", "x"}}, false,
       "200  1.1 sized:3 length keep [server: x]"},
      {status("200") + Fields{{"content-length", "0"}}, true, "200  1.1 none:0 length keep"},
      {status("200") + Fields{{"content-length", "3"}}, true, "200  1.1 none:3 length keep", true},
      {status("200") + Fields{{"content-length", "3"}}, false, "200  1.1 none:3 length keep", true},
      {status("304") + Fields{{"content-length", "3"}}, true, "304  1.1 none:3 length keep"},
      {status("204"), true, "204  1.1 none:0 keep"},
      {status("204") + Fields{{"content-length", "0"}}, true, "204  1.1 none:0 keep"},
      {status("103") + Fields{{"link", "</a>"}}, false, "103  1.1 none:0 keep [link: </a>]"},
      {status("100"), false, "100  1.1 none:0 keep"},
      {status("200") + Fields{{"set-cookie", "a"}, {"set-cookie", "b"}}, true,
       "200  1.1 none:0 keep [set-cookie: a] [set-cookie: b]"},
      {status("103"), true, "malformed: interim response that ends the stream"},
      {status("101"), false, "malformed: 101 in HTTP/2"},
      {status("099"), true, "malformed: bad :status"},
      {status("20"), true, "malformed: bad :status"},
      {status("2000"), true, "malformed: bad :status"},
      {status("2x0"), true, "malformed: bad :status"},
      {status(""), true, "malformed: empty pseudo-header field"},
      {Fields{{"server", "x"}}, true, "malformed: no :status"},
      {status("200") + status("200"), true, "malformed: repeated pseudo-header field"},
      {Fields{{"server", "x"}} + status("200"), true, "malformed: pseudo-header field after a field"},
      {status("200") + Fields{{":path", "/"}}, true, "malformed: unknown pseudo-header field"},
      {status("200") + Fields{{"connection", "x"}}, true, "malformed: connection-specific field"},
      {status("200") + Fields{{"transfer-encoding", "chunked"}}, false, "malformed: connection-specific field"},
      {status("200") + Fields{{"content-length", "3"}}, true, "malformed: Content-Length without content"},
      {status("204") + Fields{{"content-length", "3"}}, true, "malformed: Content-Length without content"},
      {status("100") + Fields{{"content-length", "3"}}, false, "malformed: Content-Length without content"},
      {status("200") + Fields{{"content-length", "3"}, {"content-length", "3"}}, false,
       "malformed: repeated Content-Length"},
      {status("200") + Fields{{"Server", "x"}}, true, "malformed: upper case in a field name"},
      {status("200") + Fields{{"a", "b\r\nc: d"}}, true, "malformed: bad character in a field value"},
  };
  for (const Row& row : rows) CHECK(read_response(row.fields, row.ended, row.head_request) == row.expected);
}

TEST_CASE("h2 fields: trailers") {
  CHECK(read_trailers({{"grpc-status", "0"}, {"x", "1"}}) == " [grpc-status: 0] [x: 1]");
  CHECK(read_trailers({}) == "");
  CHECK(read_trailers({{"content-length", "5"}, {"host", "b"}, {"authorization", "x"}, {"x", "1"}, {"vary", "a"}}) ==
        " [x: 1]");
  CHECK(read_trailers({{":status", "200"}}) == "malformed: pseudo-header field in trailers");
  CHECK(read_trailers({{"transfer-encoding", "chunked"}}) == "malformed: connection-specific field");
  CHECK(read_trailers({{"X", "1"}}) == "malformed: upper case in a field name");
  CHECK(read_trailers({{"x", std::string(40000, 'x')}}) == "too large: ");
}

TEST_CASE("h2 fields: a request is listed in lower case, framing and hop-by-hop fields left out") {
  RequestHead head;
  head.method = "POST";
  head.target = "/a?b";
  head.authority = "a.example:8443";
  for (const auto& [name, value] : Fields{{"User-Agent", "x"},
                                          {"accept", "*/*"},
                                          {"Connection", "close, X"},
                                          {"Keep-Alive", "1"},
                                          {"Proxy-Connection", "x"},
                                          {"Upgrade", "websocket"},
                                          {"HTTP2-Settings", "x"},
                                          {"TE", "gzip, trailers"},
                                          {"Host", "b.example"},
                                          {"Authorization", "Basic eA=="},
                                          {"Cookie", "a=1"},
                                          {"X-Split", "a\r\nb: c"},
                                          {"X-Nul", std::string("a\0b", 3)},
                                          {"X Bad", "1"},
                                          {"X-Space", " v\t"},
                                          {"Sec-WebSocket-Key", "k"},
                                          {"Sec-WebSocket-Version", "13"}})
    head.fields.add(name, value);
  head.body = Body::sized;
  head.content_length = 1234567890123;
  H2FieldList list;
  const std::string common =
      "user-agent: x\naccept: */*\nauthorization: Basic eA== (never indexed)\ncookie: a=1 (never indexed)\nx-space: "
      "v\n";
  for (int i = 0; i < 2; ++i) {
    list_request(list, head, "https", "");
    CHECK(describe(list) == ":method: POST\n:scheme: https\n:authority: a.example:8443\n:path: /a?b\n" + common +
                                "sec-websocket-key: k\nsec-websocket-version: 13\nte: trailers\n"
                                "content-length: 1234567890123\n");
    list_request(list, head, "http", "websocket");
    CHECK(describe(list) ==
          ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:authority: a.example:8443\n:path: /a?b\n" + common +
              "sec-websocket-version: 13\nte: trailers\n");
  }
  head.clear();
  head.method = "CONNECT";
  head.authority = "a.example:443";
  list_request(list, head, "https", "");
  CHECK(describe(list) == ":method: CONNECT\n:authority: a.example:443\n");
}

TEST_CASE("h2 fields: a response is listed with Content-Length where HTTP/1.1 has it") {
  struct Row {
    int status;
    Body body;
    bool has_length;
    std::string expected;
  };
  const std::vector<Row> rows = {
      {200, Body::sized, true, ":status: 200\nserver: x\nset-cookie: a (never indexed)\ncontent-length: 5\n"},
      {200, Body::none, true, ":status: 200\nserver: x\nset-cookie: a (never indexed)\ncontent-length: 5\n"},
      {304, Body::none, true, ":status: 304\nserver: x\nset-cookie: a (never indexed)\ncontent-length: 5\n"},
      {200, Body::none, false, ":status: 200\nserver: x\nset-cookie: a (never indexed)\n"},
      {200, Body::chunked, false, ":status: 200\nserver: x\nset-cookie: a (never indexed)\n"},
      {200, Body::until_close, false, ":status: 200\nserver: x\nset-cookie: a (never indexed)\n"},
      {204, Body::none, true, ":status: 204\nserver: x\nset-cookie: a (never indexed)\n"},
      {103, Body::none, true, ":status: 103\nserver: x\nset-cookie: a (never indexed)\n"},
      {7, Body::none, false, ":status: 500\nserver: x\nset-cookie: a (never indexed)\n"},
  };
  for (const Row& row : rows) {
    ResponseHead head;
    head.status = row.status;
    head.reason = "whatever";
    head.body = row.body;
    head.has_content_length = row.has_length;
    head.content_length = 5;
    head.fields.add("Server", "x");
    head.fields.add("Set-Cookie", "a");
    head.fields.add("Connection", "close");
    head.fields.add("Transfer-Encoding", "chunked");
    head.fields.add("Upgrade", "h2c");
    H2FieldList list;
    list_response(list, head);
    CHECK(describe(list) == row.expected);
  }
  HeaderList trailers;
  trailers.add("Grpc-Status", "0");
  trailers.add("Content-Length", "1");
  trailers.add("Transfer-Encoding", "chunked");
  trailers.add("bad", "a\nb");
  H2FieldList list;
  list_trailers(list, trailers);
  CHECK(describe(list) == "grpc-status: 0\n");
}

TEST_CASE("h2 fields: what is listed reads back as the same request") {
  RequestHead head;
  head.method = "PUT";
  head.target = "/x?y=1";
  head.authority = "a.example:8443";
  head.fields.add("Accept", "a");
  head.fields.add("Cookie", "a=1; b=2");
  head.body = Body::sized;
  head.content_length = 9;
  H2FieldList list;
  list_request(list, head, "https", "");
  Fields fields;
  for (const H2Field& field : list.fields) fields.emplace_back(field.name, field.value);
  CHECK(read_request(fields, false) ==
        "PUT /x?y=1 1.0 authority=a.example:8443 host=a.example port=8443 sized:9 keep [accept: a] [cookie: a=1; b=2]");
}
