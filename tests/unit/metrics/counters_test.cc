#include <thread>
#include <vector>

#include "catch.h"
#include "metrics/service_stats.h"

namespace sallyport {

TEST_CASE("histogram: a value stands in the first bucket whose bound it does not pass") {
  struct Row {
    uint64_t us;
    size_t bucket;
  };
  for (const Row& row : std::initializer_list<Row>{{0, 0}, {500, 0}, {501, 1}, {1'000, 1}, {1'001, 2}, {60'000'000, 13}, {60'000'001, 14}}) {
    CAPTURE(row.us);
    Histogram histogram;
    histogram.observe_us(row.us);
    for (size_t i = 0; i < histogram.buckets.size(); ++i) CHECK(histogram.buckets[i].get() == (i == row.bucket ? 1 : 0));
    CHECK(histogram.sum_us.get() == row.us);
  }
}

TEST_CASE("turn times: the longest is told for a minute, and forgotten after two") {
  constexpr uint64_t kSpan = uint64_t{1} << 26;
  TurnTimes turns;
  turns.observe(10 * kSpan + 5, 300);
  turns.observe(10 * kSpan + 9, 200);
  CHECK(turns.longest_us(10 * kSpan + 9) == 300);
  CHECK(turns.longest_us(11 * kSpan) == 300);
  CHECK(turns.longest_us(12 * kSpan) == 0);  // nothing has happened since
  turns.observe(11 * kSpan, 50);
  CHECK(turns.longest_us(11 * kSpan) == 300);
  turns.observe(12 * kSpan, 20);
  CHECK(turns.longest_us(12 * kSpan) == 50);
  turns.observe(20 * kSpan, 1);
  CHECK(turns.longest_us(20 * kSpan) == 1);
}

TEST_CASE("method classes: what a client invents is other") {
  struct Row {
    const char* method;
    MethodClass expected;
  };
  for (const Row& row : std::initializer_list<Row>{{"GET", MethodClass::get},
                                                   {"HEAD", MethodClass::head},
                                                   {"POST", MethodClass::post},
                                                   {"PUT", MethodClass::put},
                                                   {"DELETE", MethodClass::delete_},
                                                   {"PATCH", MethodClass::other},
                                                   {"get", MethodClass::other},
                                                   {"PUTS", MethodClass::other},
                                                   {"", MethodClass::other}}) {
    CAPTURE(row.method);
    CHECK(method_class(row.method) == row.expected);
  }
}

TEST_CASE("handshake failures: every word is found again, and a strange one is other") {
  for (size_t i = 0; i < static_cast<size_t>(HandshakeFailure::kCount); ++i) {
    const auto failure = static_cast<HandshakeFailure>(i);
    CHECK(handshake_failure_of(name_of(failure)) == failure);
  }
  CHECK(handshake_failure_of("") == HandshakeFailure::other);
  CHECK(handshake_failure_of("made up") == HandshakeFailure::other);
}

TEST_CASE("per worker: made once, by whoever comes first, and not before") {
  set_counting_workers(4);
  {
    ServiceStats stats;
    size_t seen = 0;
    stats.each([&](const ServiceCounters&) { ++seen; });
    CHECK((seen == 0 && !stats.used()));
    std::vector<std::thread> workers;
    for (unsigned i = 0; i < 4; ++i)
      workers.emplace_back([&stats, i] {
        for (int round = 0; round < 1000; ++round) stats.of(i).errors.add();
      });
    for (auto& worker : workers) worker.join();
    uint64_t sum = 0;
    stats.each([&](const ServiceCounters& worker) { sum += worker.errors.get(); });
    CHECK(sum == 4000);
  }
  set_counting_workers(1);
}

}  // namespace sallyport
