#include "upstream/endpoint_health.h"

#include "catch.h"

namespace sallyport {
namespace {

using State = EndpointHealth::State;

config::Health rules_of(uint32_t fall, uint32_t rise) {
  config::Health rules;
  rules.type = config::Health::Type::tcp;
  rules.fall = fall;
  rules.rise = rise;
  return rules;
}

}  // namespace

TEST_CASE("endpoint health: the first check decides") {
  EndpointHealth bad;
  CHECK(bad.usable());
  CHECK(bad.report().state == State::unchecked);
  CHECK(bad.check_failed(rules_of(3, 2), 1000, 5, "refused"));
  CHECK_FALSE(bad.usable());
  CHECK(bad.report().state == State::down);
  CHECK(bad.report().reason == "refused");
  CHECK(bad.report().since > 0);

  EndpointHealth good;
  CHECK_FALSE(good.check_passed(rules_of(3, 2), 1000, 7));  // nothing to tell
  CHECK(good.report().state == State::up);
  CHECK(good.report().checked_us == 7);
  CHECK(good.recovered_ms() == 0);
}

TEST_CASE("endpoint health: down after fall failures in a row, up after rise successes") {
  const auto rules = rules_of(3, 2);
  EndpointHealth health;
  health.check_passed(rules, 1000, 1);
  CHECK_FALSE(health.check_failed(rules, 2000, 1, "one"));
  CHECK(health.report().reason == "one");
  CHECK_FALSE(health.check_failed(rules, 3000, 1, "two"));
  CHECK_FALSE(health.check_passed(rules, 4000, 1));  // the row is broken
  CHECK(health.report().reason.empty());
  CHECK_FALSE(health.check_failed(rules, 5000, 1, "one"));
  CHECK_FALSE(health.check_failed(rules, 6000, 1, "two"));
  CHECK(health.usable());
  CHECK(health.check_failed(rules, 7000, 1, "three"));
  CHECK_FALSE(health.usable());
  CHECK_FALSE(health.check_failed(rules, 8000, 1, "four"));  // told once
  CHECK(health.report().reason == "four");

  CHECK_FALSE(health.check_passed(rules, 9000, 1));
  CHECK_FALSE(health.usable());
  CHECK_FALSE(health.check_failed(rules, 10000, 1, "again"));
  CHECK_FALSE(health.check_passed(rules, 11000, 1));
  CHECK(health.check_passed(rules, 12000, 1));
  CHECK(health.usable());
  CHECK(health.recovered_ms() == 12000);
  CHECK_FALSE(health.check_passed(rules, 13000, 1));
}

TEST_CASE("endpoint health: one failure and one success are enough where the rules say so") {
  const auto rules = rules_of(1, 1);
  EndpointHealth health;
  health.check_passed(rules, 1000, 1);
  CHECK(health.check_failed(rules, 2000, 1, "x"));
  CHECK(health.check_passed(rules, 3000, 1));
  CHECK(health.check_failed(rules, 4000, 1, "x"));
}

TEST_CASE("endpoint health: checks that end are forgotten") {
  const auto rules = rules_of(1, 1);
  EndpointHealth health;
  health.check_failed(rules, 1000, 1, "x");
  health.forget_checks(2000);
  CHECK(health.usable());
  CHECK(health.report().state == State::unchecked);
  CHECK(health.check_failed(rules, 3000, 1, "x"));  // a first one again
}

TEST_CASE("endpoint health: traffic takes a server out for a while that grows") {
  config::Health rules;
  rules.passive_failures = 3;
  rules.passive_window = std::chrono::milliseconds(30'000);
  EndpointHealth health;
  uint64_t now = 1'000'000;
  const auto fail_until_out = [&] {
    CHECK_FALSE(health.traffic_failed(rules, now, "connect"));
    CHECK_FALSE(health.traffic_failed(rules, now, "connect"));
    CHECK(health.traffic_failed(rules, now, "connect"));
    CHECK_FALSE(health.usable());
    CHECK(health.report().traffic);
    CHECK(health.report().reason == "connect");
    CHECK_FALSE(health.traffic_failed(rules, now, "connect"));  // what was under way counts no more
  };
  for (uint64_t seconds : {10, 20, 40, 80, 160, 320, 320}) {
    CAPTURE(seconds);
    fail_until_out();
    CHECK_FALSE(health.release_traffic(now + seconds * 1000 - 1));
    now += seconds * 1000;
    CHECK(health.release_traffic(now));
    CHECK(health.usable());
    CHECK(health.recovered_ms() == now);
    CHECK_FALSE(health.release_traffic(now));
  }
  now += 700'000;  // all was well for long
  fail_until_out();
  CHECK(health.release_traffic(now + 10'000));
}

TEST_CASE("endpoint health: a success, or the end of the window, begins the count anew") {
  config::Health rules;
  rules.passive_failures = 2;
  rules.passive_window = std::chrono::milliseconds(1000);
  EndpointHealth health;
  CHECK_FALSE(health.traffic_failed(rules, 5000, "x"));
  health.traffic_passed();
  CHECK_FALSE(health.traffic_failed(rules, 5100, "x"));
  CHECK_FALSE(health.traffic_failed(rules, 6200, "x"));  // 1.1 s later
  CHECK(health.traffic_failed(rules, 6300, "x"));
  rules.passive_failures = 0;
  EndpointHealth untouched;
  for (uint64_t i = 0; i < 100; ++i) CHECK_FALSE(untouched.traffic_failed(rules, 5000 + i, "x"));
}

TEST_CASE("endpoint health: checks and traffic must both be content") {
  config::Health rules = rules_of(1, 1);
  rules.passive_failures = 1;
  EndpointHealth health;
  health.check_passed(rules, 1000, 1);
  CHECK(health.traffic_failed(rules, 2000, "5xx"));
  CHECK_FALSE(health.check_passed(rules, 3000, 1));
  CHECK_FALSE(health.usable());
  CHECK(health.report().reason == "5xx");
  CHECK(health.check_failed(rules, 4000, 1, "refused"));
  CHECK(health.release_traffic(20'000));
  CHECK_FALSE(health.usable());
  CHECK(health.report().reason == "refused");
  CHECK(health.check_passed(rules, 21'000, 1));
  CHECK(health.usable());
}

}  // namespace sallyport
