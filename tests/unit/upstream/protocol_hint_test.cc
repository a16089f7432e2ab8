#include "upstream/protocol_hint.h"

#include <array>

#include "catch.h"

namespace sallyport {

using config::Mode;
using Type = config::Health::Type;

TEST_CASE("protocol hint: three bytes of an alert decide") {
  const uint8_t alert[] = {21, 3, 1, 0, 2, 2, 70};
  CHECK(may_become_tls_alert(Bytes(alert).first(0)));
  CHECK(may_become_tls_alert(Bytes(alert).first(1)));
  CHECK(may_become_tls_alert(Bytes(alert).first(2)));
  CHECK_FALSE(is_tls_alert(Bytes(alert).first(2)));
  CHECK(is_tls_alert(alert));
  CHECK_FALSE(may_become_tls_alert(alert));
  for (auto other : {std::array<uint8_t, 3>{22, 3, 1}, {21, 2, 1}, {21, 3, 5}, {'H', 'T', 'T'}}) {
    CHECK_FALSE(is_tls_alert(other));
    CHECK_FALSE(may_become_tls_alert(other));
  }
}

TEST_CASE("protocol hint: what web servers say on their TLS port") {
  CHECK(hint_of_response(400, "<title>400 The plain HTTP request was sent to HTTPS port</title>") ==
        ProtocolHint::speaks_tls);
  CHECK(hint_of_response(400, "Client sent an HTTP request to an HTTPS server.\n") == ProtocolHint::speaks_tls);
  CHECK(hint_of_response(200, "Client sent an HTTP request to an HTTPS server.\n") == ProtocolHint::none);
  CHECK(hint_of_response(400, "bad request") == ProtocolHint::none);
  CHECK(hint_of_tls_failure("not_tls") == ProtocolHint::no_tls);
  CHECK(hint_of_tls_failure("cut") == ProtocolHint::none);
}

TEST_CASE("protocol hint: the advice fits the service, or the check where that does not do as traffic does") {
  const auto speaks = ProtocolHint::speaks_tls;
  const auto plain = ProtocolHint::no_tls;
  CHECK(advice(speaks, {Mode::edge, false}) == "this server speaks TLS: use mode reencrypt");
  CHECK(advice(speaks, {Mode::http, false}) == "this server speaks TLS: give the service server_tls");
  CHECK(advice(plain, {Mode::reencrypt, true}) == "this server does not speak TLS: use mode edge");
  CHECK(advice(plain, {Mode::passthrough, true}) == "this server does not speak TLS: use mode edge");
  CHECK(advice(plain, {Mode::tcp, true}) == "this server does not speak TLS: leave server_tls out");
  CHECK(advice(ProtocolHint::none, {Mode::edge, false}).empty());
  CHECK(advice(speaks, {Mode::edge, false}, false, Type::http) == "this server speaks TLS: use mode reencrypt");
  CHECK(advice(speaks, {Mode::reencrypt, true}, false, Type::http) ==
        "this server speaks TLS: check it with type https");
  CHECK(advice(speaks, {Mode::tcp, true}, false, Type::redis) == "this server speaks TLS: check it with type tls");
  CHECK(advice(plain, {Mode::reencrypt, true}, true, Type::https) == "this server does not speak TLS: use mode edge");
  CHECK(advice(plain, {Mode::edge, false}, true, Type::https) ==
        "this server does not speak TLS: check it with type http");
  CHECK(advice(plain, {Mode::tcp, false}, true, Type::tls) == "this server does not speak TLS: check it with type tcp");
}

}  // namespace sallyport
