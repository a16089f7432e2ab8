#include "http/h1_writer.h"

#include "catch.h"
#include "http/transcript.h"

using namespace sallyport;
using namespace sallyport::http;

namespace {

RequestHead request(std::string_view method, Body body, uint64_t length = 0) {
  RequestHead head;
  head.method = method;
  head.target = "/x?y";
  head.authority = "a.tld:8443";
  head.body = body;
  head.content_length = length;
  return head;
}

std::string written(const RequestHead& head, bool upgrade = false) {
  std::string out;
  append_request_head(out, head, upgrade);
  return out;
}

ResponseHead response(int status, Body body, uint64_t length = 0, bool has_length = false) {
  ResponseHead head;
  head.status = status;
  head.body = body;
  head.content_length = length;
  head.has_content_length = has_length;
  return head;
}

std::string written(const ResponseHead& head, ResponseFraming framing = {}) {
  std::string out;
  append_response_head(out, head, framing);
  return out;
}

}  // namespace

TEST_CASE("writer: a request's framing is written anew") {
  const std::string get = "GET /x?y HTTP/1.1\r\nHost: a.tld:8443\r\n";
  CHECK(written(request("GET", Body::none)) == get + "\r\n");
  CHECK(written(request("GET", Body::sized, 0)) == get + "Content-Length: 0\r\n\r\n");
  CHECK(written(request("GET", Body::sized, 18446744073709551615u)) ==
        get + "Content-Length: 18446744073709551615\r\n\r\n");
  CHECK(written(request("GET", Body::chunked)) == get + "Transfer-Encoding: chunked\r\n\r\n");
  for (std::string method : {"POST", "PUT", "PATCH"})
    CHECK(written(request(method, Body::none)) ==
          method + " /x?y HTTP/1.1\r\nHost: a.tld:8443\r\nContent-Length: 0\r\n\r\n");
  CHECK(written(request("DELETE", Body::none)) == "DELETE /x?y HTTP/1.1\r\nHost: a.tld:8443\r\n\r\n");
}

TEST_CASE("writer: fields of the peer's framing and connection are never passed on") {
  RequestHead head = request("GET", Body::none);
  for (const char* name : {"Connection", "Host", "content-length", "Transfer-Encoding", "Upgrade"})
    head.fields.add(name, "x");
  head.fields.add("A", "b");
  CHECK(written(head) == "GET /x?y HTTP/1.1\r\nHost: a.tld:8443\r\nA: b\r\n\r\n");
  CHECK(written(head, true) ==
        "GET /x?y HTTP/1.1\r\nHost: a.tld:8443\r\nUpgrade: x\r\nA: b\r\nConnection: upgrade\r\n\r\n");
  head.fields.add("TE", "trailers");
  CHECK(written(head) == "GET /x?y HTTP/1.1\r\nHost: a.tld:8443\r\nA: b\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
  CHECK(written(head, true).find("\r\nConnection: upgrade, TE\r\n") != std::string::npos);

  ResponseHead answer = response(200, Body::sized, 3);
  for (const char* name : {"Connection", "content-length", "Transfer-Encoding", "Upgrade"})
    answer.fields.add(name, "x");
  answer.fields.add("A", "b");
  CHECK(written(answer) == "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\n");
}

TEST_CASE("writer: a response's framing and persistence") {
  struct Row {
    ResponseHead head;
    ResponseFraming framing;
    const char* says;
  };
  const Row rows[] = {
      {response(200, Body::sized, 7), {}, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"},
      {response(200, Body::sized, 7),
       {.close = true},
       "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\n"},
      {response(200, Body::sized, 7),
       {.http10 = true},
       "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: keep-alive\r\n\r\n"},
      {response(200, Body::chunked), {}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {response(200, Body::chunked), {.http10 = true}, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
      {response(200, Body::until_close), {}, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
      {response(200, Body::none), {}, "HTTP/1.1 200 OK\r\n\r\n"},
      {response(200, Body::none, 9, true), {}, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"},
      {response(304, Body::none, 9, true), {}, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"},
      {response(204, Body::none, 0, true), {}, "HTTP/1.1 204 No Content\r\n\r\n"},
      {response(100, Body::none), {.close = true}, "HTTP/1.1 100 Continue\r\n\r\n"},
      {response(101, Body::none), {.upgrade = true}, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"},
      {response(799, Body::sized, 0), {}, "HTTP/1.1 799 \r\nContent-Length: 0\r\n\r\n"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.says);
    CHECK(written(row.head, row.framing) == row.says);
  }
  ResponseHead told = response(200, Body::sized, 0);
  told.reason = "Fine By Me";
  CHECK(written(told) == "HTTP/1.1 200 Fine By Me\r\nContent-Length: 0\r\n\r\n");
  ResponseHead required = response(426, Body::sized, 0);
  required.fields.add("Upgrade", "websocket");
  CHECK(written(required) ==
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\nConnection: upgrade\r\n\r\n");
  CHECK(written(required, {.close = true}).find("\r\nConnection: upgrade, close\r\n") != std::string::npos);
}

TEST_CASE("writer: what is written reads back as the same message") {
  RequestHead head = request("POST", Body::chunked);
  head.fields.add("A", "b");
  std::string out = written(head);
  append_chunk_prefix(out, 26);
  out += "abcdefghijklmnopqrstuvwxyz\r\n";
  HeaderList trailers;
  trailers.add("Sum", "1");
  append_last_chunk(out, trailers);
  CHECK(read_requests({out}).text ==
        "head POST /x?y 1.1 authority=a.tld:8443 host=a.tld port=8443 chunked:0 keep [A: b]\n"
        "body abcdefghijklmnopqrstuvwxyz\ncomplete [Sum: 1]\n");
}

TEST_CASE("writer: chunk sizes are hexadecimal") {
  for (auto [size, text] : {std::pair<uint64_t, const char*>{1, "1\r\n"}, {255, "ff\r\n"}, {1u << 20, "100000\r\n"}}) {
    std::string out;
    append_chunk_prefix(out, size);
    CHECK(out == text);
  }
  std::string out;
  append_last_chunk(out, {});
  CHECK(out == "0\r\n\r\n");
}

TEST_CASE("writer: the date is an IMF-fixdate of this second") {
  const time_t before = std::time(nullptr);
  const std::string text(http_date());
  const time_t after = std::time(nullptr);
  tm parts{};
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  REQUIRE(end != nullptr);
  CHECK(*end == '\0');
  CHECK(text.size() == 29);
  const time_t told = timegm(&parts);
  CHECK(told >= before);
  CHECK(told <= after);
}
