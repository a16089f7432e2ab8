#include "layers/terminate/sticky_cookie.h"

#include "catch.h"

namespace sallyport {
namespace {

Upstream upstream() {
  Upstream out;
  out.cookie = "SRV";
  out.cookie_values = {"aa", "bb"};
  return out;
}

std::string cookies(const http::HeaderList& fields) {
  std::string out;
  fields.for_each([&](const http::Header& field, http::HeaderId id) {
    if (id == http::HeaderId::cookie) out.append("[").append(field.value).append("]");
  });
  return out;
}

}  // namespace

TEST_CASE("sticky cookie: names its server, and is taken out of the request") {
  struct Row {
    std::vector<const char*> sent;
    int server;
    const char* left;
  };
  for (const Row& row : {
           Row{{}, -1, ""},
           Row{{"a=1"}, -1, "[a=1]"},
           Row{{"SRV=aa"}, 0, ""},
           Row{{"SRV=bb; a=1"}, 1, "[a=1]"},
           Row{{"a=1; SRV=bb"}, 1, "[a=1]"},
           Row{{"a=1;SRV=bb;b=2"}, 1, "[a=1; b=2]"},
           Row{{"a=1; SRV=bb", "b=2"}, 1, "[a=1][b=2]"},
           Row{{"SRV=cc"}, -1, ""},
           Row{{"SRV="}, -1, ""},
           Row{{"SRV=cc; SRV=bb"}, 1, ""},
           Row{{"SRV=aa; SRV=bb"}, 0, ""},
           Row{{"SRVX=aa"}, -1, "[SRVX=aa]"},
           Row{{"XSRV=aa"}, -1, "[XSRV=aa]"},
           Row{{"srv=aa"}, -1, "[srv=aa]"},  // names of cookies have a case (RFC 6265 section 4.1.1)
           Row{{"SRV"}, -1, "[SRV]"},
           Row{{";;SRV=aa;;"}, 0, ""},
           Row{{"a=SRV=aa"}, -1, "[a=SRV=aa]"},
       }) {
    CAPTURE(row.left);
    const Upstream servers = upstream();
    http::HeaderList fields;
    fields.add("Host", "x");
    for (const char* value : row.sent) fields.add("Cookie", value);
    CHECK(take_cookie(servers, fields) == row.server);
    CHECK(cookies(fields) == row.left);
    CHECK(fields.find(http::HeaderId::host).has_value());
  }
  http::HeaderList untouched;
  untouched.add("Cookie", "SRV=aa");
  CHECK(take_cookie(Upstream(), untouched) == -1);
  CHECK(cookies(untouched) == "[SRV=aa]");
}

TEST_CASE("sticky cookie: what the client is told") {
  const Upstream servers = upstream();
  http::HeaderList fields;
  add_cookie(servers, 1, true, fields);
  CHECK(fields.find(http::HeaderId::set_cookie) == "SRV=bb; Path=/; HttpOnly; SameSite=Lax; Secure");
  http::HeaderList plain;
  add_cookie(servers, 0, false, plain);
  CHECK(plain.find(http::HeaderId::set_cookie) == "SRV=aa; Path=/; HttpOnly; SameSite=Lax");
  http::HeaderList none;
  add_cookie(servers, 2, false, none);
  CHECK(none.empty());
}

}  // namespace sallyport
