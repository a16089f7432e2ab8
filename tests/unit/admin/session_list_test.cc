#include "admin/session_list.h"

#include "catch.h"

namespace sallyport {
namespace {

SessionRow row(unsigned worker, uint64_t id, uint64_t age, uint64_t sent) {
  SessionRow out;
  out.worker = worker;
  out.id = id;
  out.age_ms = age;
  out.sent_bytes = sent;
  return out;
}

std::string ids(std::vector<SessionRow> rows) {
  std::string out;
  for (const SessionRow& one : rows) out += (out.empty() ? "" : " ") + session_id(one.worker, one.id);
  return out;
}

}  // namespace

TEST_CASE("sessions: the first by the sort are kept, however they come") {
  const std::vector<SessionRow> all{row(0, 1, 500, 3), row(0, 10, 400, 9), row(1, 2, 450, 9), row(1, 255, 10, 0),
                                    row(0, 12, 10, 20)};
  struct Row {
    SessionSort sort;
    size_t most;
    const char* expected;
  };
  for (const Row& one : {
           Row{SessionSort::age, 9, "0-1 1-2 0-a 0-c 1-ff"},
           Row{SessionSort::age, 2, "0-1 1-2"},
           Row{SessionSort::sent, 3, "0-c 1-2 0-a"},
           Row{SessionSort::sent, 0, ""},
       }) {
    for (bool backwards : {false, true}) {
      CAPTURE(static_cast<int>(one.sort), one.most, backwards);
      BestSessions best(one.sort, one.most);
      for (size_t i = 0; i < all.size(); ++i) {
        const SessionRow& next = all[backwards ? all.size() - 1 - i : i];
        if (best.would_take(next)) best.add(next);
      }
      CHECK(ids(best.take_sorted()) == one.expected);
    }
  }
}

TEST_CASE("sessions: what does not apply is not told") {
  SessionRow one = row(1, 0x5f2, 12'500, 2000);
  one.client = *Address::parse_ip("192.168.1.20", 4000);
  one.listener = "https";
  one.protocol = "tls";
  one.state = "open";
  one.sni = "cloud.example.tld";
  const Json json = session_json(one, 1'000'000);
  CHECK(json["id"] == "1-5f2");
  CHECK(json["client"] == "192.168.1.20");
  CHECK(json["started"] == 987'500);
  CHECK(json["age_seconds"] == 12.5);
  CHECK(json["sent_bytes"] == 2000);
  for (const char* absent : {"host", "path", "service", "server", "requests", "streams", "mode"}) {
    CAPTURE(absent);
    CHECK(!json.contains(absent));
  }
  one.host = "a\xff";  // whatever a client sends
  CHECK(text_of(session_json(one, 0)).find("a\xEF\xBF\xBD") != std::string::npos);
}

}  // namespace sallyport
