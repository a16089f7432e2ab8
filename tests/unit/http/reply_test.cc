#include "http/reply.h"

#include <set>

#include "catch.h"
#include "http/h1_writer.h"
#include "http/transcript.h"

using namespace sallyport;
using namespace sallyport::http;

TEST_CASE("replies: every error has a page of its own that reads back") {
  std::set<std::string> sentences;
  const int statuses[] = {400, 403, 404, 405, 408, 413, 414, 417, 421, 425, 429, 431, 500, 501, 502, 503, 504, 505};
  for (int status : statuses) {
    CAPTURE(status);
    const Reply reply = error_reply(status);
    CHECK(reply.head.status == status);
    const size_t from = reply.body.find("<p>"), to = reply.body.find("</p>");
    REQUIRE(from < to);
    sentences.insert(reply.body.substr(from, to - from));
    CHECK(reply.body.find(fmt::format("<b>{}</b> {}<", status, reason_phrase(status))) != std::string::npos);
    CHECK(reply.body.find("{") == reply.body.find("{ color-scheme"));
    CHECK(reply.body.size() < 1024);
    CHECK(reply.head.fields.find("Cache-Control") == std::optional<std::string_view>("no-store"));
    CHECK(reply.head.fields.find("Content-Type") == std::optional<std::string_view>("text/html; charset=utf-8"));
    std::string out;
    append_response_head(out, reply.head, {});
    out += reply.body;
    const Run read = read_responses({out});
    CHECK(read.text.find("body " + reply.body) != std::string::npos);
    CHECK(read.idle);
  }
  CHECK(sentences.size() == std::size(statuses));
  CHECK(error_reply(405).head.fields.find("Allow"));
}

TEST_CASE("replies: pages name no product and no library") {
  for (int status = 400; status < 600; ++status) {
    const Reply reply = error_reply(status);
    for (const char* word : {"sallyport", "llhttp", "nginx", "upstream", "haproxy", "gateway.yaml"}) {
      std::string lowered = reply.body;
      for (char& c : lowered) c = static_cast<char>(std::tolower(c));
      CAPTURE(status, word);
      CHECK(lowered.find(word) == std::string::npos);
    }
    CHECK_FALSE(reply.head.fields.find("Server"));
  }
}

TEST_CASE("replies: an unknown status still gets a page") {
  const Reply reply = error_reply(599);
  CHECK(reply.body.find("<b>599</b> Error<") != std::string::npos);
}

TEST_CASE("redirects: a location that could split or confuse is refused") {
  Reply fine = error_reply(404);
  make_redirect(fine, 308, {"https://a.tld", "", "/x?y=%20"});
  CHECK(fine.head.status == 308);
  CHECK(fine.head.fields.find(HeaderId::location) == std::optional<std::string_view>("https://a.tld/x?y=%20"));
  CHECK(fine.body == "Moved to https://a.tld/x?y=%20\n");
  CHECK(fine.head.content_length == fine.body.size());
  for (std::string_view bad : {std::string_view(""), std::string_view("a b"), std::string_view("a\r\nSet-Cookie: x"),
                               std::string_view("a\nb"), std::string_view("a\0b", 3), std::string_view("\xc3\xa9"),
                               std::string_view("a\tb"), std::string_view("\x7f")}) {
    CAPTURE(bad);
    Reply refused = fine;
    make_redirect(refused, 308, {bad});
    CHECK(refused.head.status == 400);
    CHECK_FALSE(refused.head.fields.find(HeaderId::location));
  }
}

TEST_CASE("redirects: to https with the public port, and a status that keeps the method") {
  RequestHead head;
  head.target = "/a?b";
  head.authority = "A.tld:80";
  head.host = "a.tld";
  Reply reply;
  const auto sent_to = [&](uint16_t port) {
    make_https_redirect(reply, head, port);
    return reply.head.fields.find(HeaderId::location).value_or("");
  };
  CHECK(sent_to(443) == "https://a.tld/a?b");
  CHECK(sent_to(8443) == "https://a.tld:8443/a?b");
  CHECK(sent_to(65535) == "https://a.tld:65535/a?b");
  CHECK(reply.body == "Moved to https://a.tld:65535/a?b\n");
  CHECK(reply.head.content_length == reply.body.size());
  head.host = "[::1]";
  head.target = "*";
  CHECK(sent_to(443) == "https://[::1]");
  for (auto [method, status] : {std::pair{"GET", 301}, {"HEAD", 301}, {"POST", 308}, {"get", 308}}) {
    CAPTURE(method);
    head.method = method;
    make_https_redirect(reply, head, 443);
    CHECK(reply.head.status == status);
  }
  head.host.clear();
  CHECK(sent_to(443).empty());
  CHECK(reply.head.status == 400);
}
