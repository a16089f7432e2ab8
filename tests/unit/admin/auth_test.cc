#include "admin/auth.h"

#include "catch.h"

namespace sallyport {
namespace {

http::RequestHead head_of(const std::string& authority, std::vector<std::pair<std::string, std::string>> fields = {},
                          const std::string& target = "/api/v1/status") {
  http::RequestHead head;
  head.method = "GET";
  head.target = target;
  head.authority = authority;
  if (!authority.empty()) REQUIRE(http::parse_authority(authority, head.host, head.authority_port));
  for (const auto& [name, value] : fields) head.fields.add(name, value);
  return head;
}

int status_of(const std::optional<AdminAnswer>& refused) { return refused ? refused->status : 200; }

const AdminPlace kSocket{true, false, "secret"};
const AdminPlace kLoopback{false, true, "secret"};
const AdminPlace kLan{false, false, "secret"};

}  // namespace

TEST_CASE("auth: a name that may lead here for somebody else is refused, and so are pages of another origin") {
  struct Row {
    const char* host;
    std::vector<std::pair<std::string, std::string>> fields;
    int status;
  };
  for (const Row& row : {
           Row{"127.0.0.1:8404", {}, 200},
           Row{"localhost:8404", {}, 200},
           Row{"[::1]:8404", {}, 200},
           Row{"192.168.1.5", {}, 200},
           Row{"", {}, 200},
           Row{"evil.example:8404", {}, 403},
           Row{"127.0.0.1.evil.example", {}, 403},
           Row{"localhost.evil.example", {}, 403},
           Row{"127.0.0.1:8404", {{"Origin", "http://127.0.0.1:8404"}}, 200},
           Row{"localhost:8404", {{"origin", "http://LOCALHOST:8404"}}, 200},
           Row{"127.0.0.1:8404", {{"Origin", "http://localhost:8404"}}, 403},
           Row{"127.0.0.1:8404", {{"Origin", "http://127.0.0.1:8405"}}, 403},
           Row{"127.0.0.1:8404", {{"Origin", "https://evil.example"}}, 403},
           Row{"127.0.0.1:8404", {{"Origin", "null"}}, 403},
           Row{"127.0.0.1:8404", {{"Origin", ""}}, 403},
           Row{"127.0.0.1:8404", {{"Sec-Fetch-Site", "same-origin"}}, 200},
           Row{"127.0.0.1:8404", {{"Sec-Fetch-Site", "none"}}, 200},
           Row{"127.0.0.1:8404", {{"Sec-Fetch-Site", "cross-site"}}, 403},
           Row{"127.0.0.1:8404", {{"Sec-Fetch-Site", "same-site"}}, 403},
       }) {
    CAPTURE(row.host, row.fields);
    const http::RequestHead head = head_of(row.host, row.fields);
    auto refused = refuse_page(kLoopback, AdminNeed::read, head);
    if (!refused) refused = refuse_access(kLoopback, AdminNeed::read, head);
    CHECK(status_of(refused) == row.status);
    CHECK(status_of(refuse_page(kSocket, AdminNeed::read, head)) == 200);
    CHECK(status_of(refuse_access(kSocket, AdminNeed::read, head)) == 200);
  }
  // Following a link to a page is no fault.
  CHECK(!refuse_page(kLoopback, AdminNeed::nothing, head_of("127.0.0.1", {{"Sec-Fetch-Site", "cross-site"}}, "/")));
}

TEST_CASE("auth: who has the token may call it by any name, and /health tells nobody anything") {
  for (const AdminPlace* place : {&kLoopback, &kLan}) {
    CHECK(!refuse_access(*place, AdminNeed::read, head_of("gw.lan:8404", {{"Authorization", "Bearer secret"}})));
    CHECK(!refuse_access(*place, AdminNeed::nothing, head_of("gw.lan:8404")));
  }
  CHECK(status_of(refuse_access(kLan, AdminNeed::read, head_of("gw.lan:8404"))) == 401);
}

TEST_CASE("auth: names of admin.hosts are its own, others are not") {
  const AdminPlace named{false, true, "secret", {"gateway.example"}};
  const auto asked = [&](const http::RequestHead& head) {
    auto refused = refuse_page(named, AdminNeed::read, head);
    return status_of(refused ? refused : refuse_access(named, AdminNeed::read, head));
  };
  CHECK(asked(head_of("gateway.example", {})) == 200);
  CHECK(asked(head_of("127.0.0.1", {})) == 200);
  CHECK(asked(head_of("gateway.example", {{"Origin", "https://gateway.example"}, {"Sec-Fetch-Site", "same-origin"}})) == 200);
  CHECK(asked(head_of("gateway.example", {{"Origin", "https://other.example"}})) == 403);
  CHECK(asked(head_of("other.example", {})) == 403);
  CHECK(asked(head_of("a.gateway.example", {})) == 403);
}

TEST_CASE("auth: who needs the token, and where") {
  const AdminPlace open_loopback{false, true, ""};
  const AdminPlace open_lan{false, false, ""};
  struct Row {
    const AdminPlace& place;
    AdminNeed need;
    const char* authorization;
    int status;
  };
  for (const Row& row : {
           Row{kSocket, AdminNeed::change, "", 200},
           Row{kLoopback, AdminNeed::read, "", 200},
           Row{kLoopback, AdminNeed::change, "", 401},
           Row{kLoopback, AdminNeed::change, "Bearer secret", 200},
           Row{kLoopback, AdminNeed::change, "bearer  secret", 200},
           Row{kLoopback, AdminNeed::change, "Bearer secre", 401},
           Row{kLoopback, AdminNeed::change, "Bearer secretsecret", 401},
           Row{kLoopback, AdminNeed::change, "Bearer Secret", 401},
           Row{kLoopback, AdminNeed::change, "Bearer", 401},
           Row{kLoopback, AdminNeed::change, "Basic secret", 401},
           Row{kLoopback, AdminNeed::change, "secret", 401},
           Row{kLoopback, AdminNeed::read, "Bearer secret", 200},
           Row{kLoopback, AdminNeed::read, "Bearer secre", 401},  // a page asks whether its token is right
           Row{kLoopback, AdminNeed::nothing, "Bearer secre", 200},
           Row{open_loopback, AdminNeed::read, "Bearer secret", 403},
           Row{kLan, AdminNeed::nothing, "", 200},
           Row{kLan, AdminNeed::read, "", 401},
           Row{kLan, AdminNeed::read, "Bearer secret", 200},
           Row{kLan, AdminNeed::change, "Bearer secret", 200},
           Row{open_loopback, AdminNeed::read, "", 200},
           Row{open_loopback, AdminNeed::change, "", 403},
           Row{open_loopback, AdminNeed::change, "Bearer ", 403},
           Row{open_lan, AdminNeed::read, "", 403},
           Row{open_lan, AdminNeed::nothing, "", 200},
       }) {
    CAPTURE(row.place.local, row.place.loopback, row.place.token, static_cast<int>(row.need), row.authorization);
    std::vector<std::pair<std::string, std::string>> fields;
    if (*row.authorization != 0) fields.emplace_back("Authorization", row.authorization);
    CHECK(status_of(refuse_access(row.place, row.need, head_of("127.0.0.1", fields))) == row.status);
  }
}

TEST_CASE("auth: secrets are equal or not, whatever their lengths") {
  CHECK(equal_in_constant_time("abc", "abc"));
  for (const char* given : {"", "a", "ab", "abd", "abca", "abcabc", "bbc"}) CHECK(!equal_in_constant_time(given, "abc"));
  CHECK(!equal_in_constant_time("", ""));
}

}  // namespace sallyport
