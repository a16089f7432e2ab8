#include "admin/history.h"

#include "catch.h"

namespace sallyport {
namespace {

History::Sums sums(uint64_t requests, uint64_t errors = 0, uint64_t bytes = 0) {
  History::Sums out{};
  out[History::requests] = requests;
  out[History::errors] = errors;
  out[History::received_bytes] = bytes;
  return out;
}

void step(History& history, std::string_view service, const void* source, const History::Sums& now) {
  history.begin_step();
  history.add(service, source, now);
  history.end_step(now, 1000);
}

const int kA = 0, kB = 0;

}  // namespace

TEST_CASE("history: a step holds what came since the one before") {
  History history;
  CHECK(history.series()[History::requests].empty());
  CHECK(history.rates()[History::requests] == 0);
  for (uint64_t total : {10, 10, 25}) step(history, "web", &kA, sums(total, total / 10, 100 * total));
  const auto series = history.series("web");
  CHECK(series[History::requests] == std::vector<uint64_t>{10, 0, 15});
  CHECK(series[History::errors] == std::vector<uint64_t>{1, 0, 1});
  CHECK(series[History::received_bytes] == std::vector<uint64_t>{1000, 0, 1500});
  CHECK(history.series() == series);
  CHECK(history.total_errors() == 2);
  CHECK(history.end_ms() == 1000);
  CHECK(history.series("nobody")[History::requests] == std::vector<uint64_t>{0, 0, 0});
}

TEST_CASE("history: rates are of the last ten seconds, or of as many as there are") {
  History history;
  step(history, "web", &kA, sums(8));
  CHECK(history.rates("web")[History::requests] == 4);  // in two seconds
  for (int i = 0; i < 4; ++i) step(history, "web", &kA, sums(8));
  CHECK(history.rates("web")[History::requests] == 0.8);
  step(history, "web", &kA, sums(8));
  CHECK(history.rates("web")[History::requests] == 0);
}

TEST_CASE("history: five minutes are kept, and then the oldest goes") {
  History history;
  for (uint64_t i = 1; i <= History::kSteps + 10; ++i) step(history, "web", &kA, sums(i * (i + 1) / 2));
  const auto requests = history.series("web")[History::requests];
  REQUIRE(requests.size() == History::kSteps);
  CHECK(requests.front() == 11);
  CHECK(requests.back() == History::kSteps + 10);
}

TEST_CASE("history: a service whose counters began anew has no negative traffic") {
  History history;
  step(history, "web", &kA, sums(100));
  step(history, "web", &kB, sums(7));
  CHECK(history.series("web")[History::requests] == std::vector<uint64_t>{100, 7});
}

TEST_CASE("history: who is at rest or gone takes no room") {
  History history;
  step(history, "web", &kA, sums(1));
  CHECK(history.services_with_history() == 1);
  for (size_t i = 0; i < History::kSteps; ++i) step(history, "web", &kA, sums(1));
  CHECK(history.services_with_history() == 0);
  step(history, "web", &kA, sums(3));
  CHECK(history.series("web")[History::requests].back() == 2);
  CHECK(history.services_with_history() == 1);
  history.begin_step();
  history.end_step(sums(3), 0);
  CHECK(history.services_with_history() == 0);
  CHECK(history.series("web")[History::requests].back() == 0);
}

TEST_CASE("history: of more services than there is room for, those that were busy last are kept") {
  History history;
  const auto many = [&](const std::string& prefix, uint64_t total) {
    for (size_t i = 0; i < History::kMostServices; ++i) history.add(prefix + std::to_string(i), &kA, sums(total));
  };
  history.begin_step();
  many("a", 1);
  history.add("late", &kA, sums(5));
  history.end_step({}, 0);
  CHECK(history.services_with_history() == History::kMostServices);
  CHECK(history.series("late")[History::requests] == std::vector<uint64_t>{0});
  for (size_t i = 0; i < History::kRateSteps + 1; ++i) {
    history.begin_step();
    many("a", 1);
    history.add("late", &kA, sums(5));
    history.end_step({}, 0);
  }
  history.begin_step();
  many("a", 1);
  history.add("late", &kA, sums(9));
  history.end_step({}, 0);
  CHECK(history.services_with_history() == History::kMostServices);
  CHECK(history.series("late")[History::requests].back() == 4);
}

}  // namespace sallyport
