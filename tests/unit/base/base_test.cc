// Text, host names, chunks, lists, deadlines and the log.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <regex>
#include <thread>

#include "base/chunk.h"
#include "base/deadline.h"
#include "base/host.h"
#include "base/log.h"
#include "base/result.h"
#include "base/text.h"
#include "base/text_buffer.h"
#include "base/unique_fd.h"
#include "catch.h"

namespace sallyport {

TEST_CASE("text: numbers are digits and fit") {
  struct Row {
    std::string_view text;
    std::optional<uint64_t> value;
  };
  for (const Row& row : {Row{"0", 0}, Row{"007", 7}, Row{"18446744073709551615", UINT64_MAX},
                         Row{"18446744073709551616", {}}, Row{"99999999999999999999", {}}, Row{"", {}}, Row{"-1", {}},
                         Row{"+1", {}}, Row{" 1", {}}, Row{"1 ", {}}, Row{"0x1", {}}, Row{"1.0", {}}}) {
    CAPTURE(row.text);
    CHECK(parse_number(row.text) == row.value);
  }
}

TEST_CASE("text: what a client sent cannot leave its place in a log line") {
  using namespace std::string_literals;
  struct Row {
    std::string raw, escaped, json;
  };
  for (const Row& row : {
           Row{"plain", "plain", R"("plain")"}, Row{"a\"b\\c", R"(a\"b\\c)", R"("a\"b\\c")"},
           Row{"a\r\nb\t", R"(a\x0d\x0ab\x09)", R"("a\u000d\u000ab\u0009")"},
           Row{"\0\x7f\x1b[31m"s, R"(\x00\x7f\x1b[31m)", R"("\u0000\u007f\u001b[31m")"},
           Row{"\xc3\xa4", R"(\xc3\xa4)", "\"\xc3\xa4\""},
           Row{"\xff\xc3", R"(\xff\xc3)", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
           Row{"\xc0\xaf", R"(\xc0\xaf)", "\"\xef\xbf\xbd\xef\xbf\xbd\""},                      // overlong "/"
           Row{"\xed\xa0\x80", R"(\xed\xa0\x80)", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},  // a surrogate
           Row{"\xf0\x9f\x98\x80", R"(\xf0\x9f\x98\x80)", "\"\xf0\x9f\x98\x80\""},
           Row{"\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)",
               "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},  // above U+10FFFF
       }) {
    CAPTURE(row.raw);
    CHECK(escaped(row.raw) == row.escaped);
    std::string json;
    append_json(json, row.raw);
    CHECK(json == row.json);
  }
  CHECK(escaped("abcdef", 3) == "abc…");
  CHECK(escaped("abc", 3) == "abc");
  CHECK(escaped(std::string(600, 'x')).size() == 512 + std::string("…").size());
}

TEST_CASE("text: every byte at every place is escaped as if bytes were looked at one by one") {
  // What is beside it matters where eight are looked at in a step.
  for (unsigned byte = 0; byte < 256; ++byte)
    for (const unsigned next : {byte, byte ^ 1, unsigned{'a'}, unsigned{'"'}})
      for (size_t at = 0; at < 18; ++at) {
        std::string text(19, 'a');
        text[at] = static_cast<char>(byte);
        text[at + 1] = static_cast<char>(next);
        std::string one_by_one, with_a_set;
        for (char c : text) one_by_one += escaped({&c, 1});
        append_escaped(with_a_set, text, kPlainBytes);
        if (escaped(text) != one_by_one || with_a_set != one_by_one) FAIL_CHECK(byte << " " << next << " at " << at);
        if (byte >= 0x80 || next >= 0x80) continue;
        std::string json, parts = "\"";
        append_json(json, text);
        for (char c : text) {
          std::string part;
          append_json(part, {&c, 1});
          parts.append(part, 1, part.size() - 2);
        }
        if (json != parts + '"') FAIL_CHECK("JSON: " << byte << " " << next << " at " << at);
      }
}

TEST_CASE("text buffer: grows with what is in it, and is empty once it was moved from") {
  TextBuffer buffer;
  CHECK(buffer.view().empty());
  buffer.append("");
  buffer.append("one ");
  char* room = buffer.room(100);
  buffer.commit(put(put_number(room, 18'446'744'073'709'551'615u), " two"));
  CHECK(buffer.view() == "one 18446744073709551615 two");
  TextBuffer copy = buffer;
  TextBuffer moved = std::move(buffer);
  CHECK((copy.view() == moved.view() && buffer.empty() && buffer.capacity() == 0));
  buffer.append("again");
  CHECK(buffer.view() == "again");
  copy.release();
  CHECK((copy.empty() && copy.capacity() == 0));
}

TEST_CASE("text: case, white space, and the nearest word") {
  CHECK(equal_ignoring_case("Content-LENGTH", "content-length"));
  CHECK_FALSE(equal_ignoring_case("a", "ab"));
  CHECK_FALSE(equal_ignoring_case("@", "`"));
  CHECK(to_lower("A-Z_[É") == "a-z_[É");
  CHECK(trim(" \t a b\t ") == "a b");
  CHECK(trim(" \t").empty());
  CHECK(trim("\r\n") == "\r\n");
  const std::vector<std::string_view> words{"passthrough", "edge", "reencrypt", "http", "redirect", "ssh", "tcp"};
  struct Row {
    std::string_view word, nearest;
  };
  for (const Row& row :
       {Row{"passthru", "passthrough"}, Row{"Edge", "edge"}, Row{"egde", "edge"}, Row{"htttp", "http"},
        Row{"re-encrypt", "reencrypt"}, Row{"tpc", "tcp"}, Row{"banana", ""}, Row{"", ""}, Row{"x", ""}}) {
    CAPTURE(row.word);
    CHECK(nearest_word(row.word, words) == row.nearest);
  }
}

TEST_CASE("host: names, literals, and one spelling") {
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  REQUIRE(longest.size() == 253);
  for (const std::string& name : {std::string("a"), std::string("cloud.example.tld"), std::string("A.B."),
                                  std::string("_dmarc.x-y.tld"), std::string("1.2.3"), label, longest, longest + "."}) {
    CAPTURE(name);
    CHECK(is_host_name(name));
  }
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".a"), std::string("a..b"), std::string("a.."), std::string("a b"),
        std::string("*.a"), std::string("a:80"), std::string("a/b"), std::string("ä.tld"), std::string("a\0b", 3),
        label + "a", longest + "a", std::string("a#b"), std::string("a%41")}) {
    CAPTURE(name);
    CHECK_FALSE(is_host_name(name));
  }
  CHECK(normalized_host("Cloud.Example.TLD.") == "cloud.example.tld");
  CHECK(normalized_host("a") == "a");
  for (const char* text : {"192.0.2.1", "::1", "2001:db8::1", "::ffff:192.0.2.1"}) CHECK(is_ip_literal(text));
  for (const char* text : {"", "192.0.2", "192.0.2.1.", "[::1]", "a.tld", "::1%eth0"}) CHECK_FALSE(is_ip_literal(text));
  CHECK_FALSE(is_ip_literal(std::string_view("192.0.2.1\0.tld", 14)));
}

TEST_CASE("chain: gives back exactly what went in, however it is cut") {
  std::mt19937 random(7);
  ChunkPool pool(4);
  {
    Chain chain(pool);
    std::string expected;
    for (int round = 0; round < 2000; ++round) {
      CAPTURE(round);
      std::string piece(random() % 40000, '\0');
      for (char& c : piece) c = static_cast<char>(random());
      switch (random() % 4) {
        case 0: chain.append(piece); break;
        case 1: {
          MutableBytes room = chain.prepare();
          REQUIRE(!room.empty());
          size_t count = std::min(room.size(), piece.size());
          std::copy_n(piece.data(), count, room.data());
          chain.commit(count);
          piece.resize(count);
          break;
        }
        case 2: {
          Chain other(pool);
          other.append(piece);
          other.consume(piece.size() / 3);
          chain.take(other);
          REQUIRE(other.empty());
          piece.erase(0, piece.size() / 3);
          break;
        }
        default: {
          size_t count = std::min<size_t>(chain.size(), random() % 90000);
          std::string got;
          iovec parts[64];
          size_t used = chain.gather(parts, 64);
          for (size_t i = 0; i < used; ++i) got.append(static_cast<char*>(parts[i].iov_base), parts[i].iov_len);
          REQUIRE(std::string_view(expected).starts_with(got));
          if (!expected.empty()) REQUIRE(!chain.front().empty());
          REQUIRE(std::string_view(expected).starts_with(as_text(chain.front())));
          chain.consume(count);
          expected.erase(0, count);
          piece.clear();
        }
      }
      expected += piece;
      REQUIRE(chain.size() == expected.size());
      REQUIRE(chain.empty() == expected.empty());
      if (chain.empty()) REQUIRE(pool.in_use() == 0);
      if (expected.size() > 300000) {
        chain.clear();
        expected.clear();
      }
    }
  }
  CHECK(pool.in_use() == 0);
}

TEST_CASE("chain: an empty one holds no chunk, and moving leaves an empty one") {
  ChunkPool pool;
  Chain chain(pool);
  chain.prepare();
  chain.commit(0);
  CHECK(pool.in_use() == 0);
  chain.append("abc");
  Chain moved(std::move(chain));
  CHECK(chain.empty());
  CHECK(as_text(moved.front()) == "abc");
  Chain target(pool);
  target.append(std::string(20000, 'x'));
  target = std::move(moved);
  CHECK(pool.in_use() == 1);
  CHECK(as_text(target.front()) == "abc");
  target.consume(3);
  CHECK(pool.in_use() == 0);
  CHECK(target.front().empty());
}

namespace {

struct Item : ListHook<Item> {
  explicit Item(int the_value) : value(the_value) {}
  int value;
};

std::vector<int> values(List<Item>& list) {
  std::vector<int> out;
  for (Item* item = list.front(); item != nullptr; item = list.next(*item)) out.push_back(item->value);
  return out;
}

}  // namespace

TEST_CASE("list: order, moving between lists, and members that die") {
  List<Item> list;
  List<Item> other;
  Item one(1), two(2);
  CHECK(list.front() == nullptr);
  CHECK(list.pop_front() == nullptr);
  list.push_back(one);
  list.push_back(two);
  {
    Item three(3);
    list.push_front(three);
    CHECK(values(list) == std::vector{3, 1, 2});
    CHECK(list.back() == &two);
  }
  CHECK(values(list) == std::vector{1, 2});
  list.push_back(one);  // already in it: moves
  list.push_back(one);  // already the last: stays
  CHECK(values(list) == std::vector{2, 1});
  other.push_back(two);
  CHECK(values(list) == std::vector{1});
  list.splice_to(other);
  CHECK(list.empty());
  CHECK(values(other) == std::vector{2, 1});
  {
    List<Item> dying;
    dying.push_back(one);
  }
  CHECK_FALSE(one.linked());
}

namespace {

struct Timer final : Deadline::Owner {
  void on_deadline(Deadline&) override {
    ++fired;
    if (then) then();
  }
  Deadline deadline{*this};
  int fired = 0;
  std::function<void()> then;
};

}  // namespace

TEST_CASE("deadlines: never early, never more than a slot late, however far away") {
  const uint64_t start = 1'000'003;
  for (uint64_t after : {1, 63, 64, 65, 1000, 65'000, 65'536, 66'000, 200'000, 3'600'000}) {
    for (uint64_t step : {1, 50, 64, 777}) {
      if (after / step > 100'000) continue;
      CAPTURE(after, step);
      DeadlineWheel wheel(start);
      Timer timer;
      wheel.arm(timer.deadline, start, after);
      uint64_t now = start;
      while (timer.fired == 0 && now < start + after + 5000) wheel.advance(now += step);
      CHECK(timer.fired == 1);
      CHECK(now >= start + after);
      CHECK(now <= start + after + 64 + step);
      wheel.advance(now + 200'000);
      CHECK(timer.fired == 1);
      CHECK_FALSE(timer.deadline.armed());
    }
  }
}

TEST_CASE("deadlines: waiting as long as next() says never misses one") {
  std::mt19937 random(11);
  for (int round = 0; round < 300; ++round) {
    uint64_t now = 5'000 + random() % 100'000;
    DeadlineWheel wheel(now);
    Timer timer;
    uint64_t due = now + 1 + random() % 300'000;
    wheel.arm(timer.deadline, now, due - now);
    for (int turns = 0; timer.fired == 0 && turns < 100; ++turns) {
      int64_t wait = wheel.next(now);
      REQUIRE(wait >= 0);
      now += static_cast<uint64_t>(wait);
      wheel.advance(now);
    }
    CAPTURE(round, due, now);
    CHECK(timer.fired == 1);
    CHECK(now >= due);
    CHECK(now < due + 64);
    CHECK(wheel.next(now) == -1);
  }
}

TEST_CASE("deadlines: armed again and again within a slot, none is lost") {
  for (uint64_t first = 1; first <= 130; first += 3)
    for (uint64_t second = 1; second <= 130; second += 3) {
      DeadlineWheel wheel(1000);
      Timer timer;
      wheel.arm(timer.deadline, 1000, first);
      timer.deadline.disarm();
      wheel.arm(timer.deadline, 1000, second);
      wheel.advance(1000 + second + 64);
      CAPTURE(first, second);
      CHECK(timer.fired == 1);
    }
}

TEST_CASE("deadlines: armed again, earlier, disarmed, and from within a call") {
  uint64_t now = 1000;
  DeadlineWheel wheel(now);
  Timer later, sooner, off, again, killer;
  auto victim = std::make_unique<Timer>();
  wheel.arm(later.deadline, 1000, 500);
  wheel.arm(later.deadline, 1100, 5000);
  wheel.arm(sooner.deadline, 1000, 50'000);
  wheel.arm(sooner.deadline, 1000, 200);
  wheel.arm(off.deadline, 1000, 300);
  wheel.arm(off.deadline, 1000, 0);
  again.then = [&] {
    if (again.fired < 3) wheel.arm(again.deadline, now, 100);
  };
  wheel.arm(again.deadline, 1000, 100);
  wheel.arm(killer.deadline, 1000, 400);
  wheel.arm(victim->deadline, 1000, 400);
  killer.then = [&] { victim.reset(); };
  wheel.advance(now = 1500);
  CHECK(later.fired == 0);
  CHECK(sooner.fired == 1);
  CHECK(off.fired == 0);
  CHECK(again.fired == 1);
  CHECK(killer.fired == 1);
  wheel.advance(now = 2000);
  CHECK(again.fired == 2);
  CHECK(later.fired == 0);
  CHECK(later.deadline.armed());
  wheel.advance(now = 6200);
  CHECK(later.fired == 1);
  CHECK(sooner.fired == 1);
  // A laptop that slept for a day.
  wheel.arm(later.deadline, 6200, 1000);
  wheel.advance(6200 + 86'400'000);
  CHECK(later.fired == 2);
}

namespace {

std::string drain(int fd) {
  std::string out;
  char buffer[65536];
  for (pollfd ready{fd, POLLIN, 0}; ::poll(&ready, 1, 0) == 1;) {
    ssize_t count = ::read(fd, buffer, sizeof buffer);
    if (count <= 0) break;
    out.append(buffer, static_cast<size_t>(count));
  }
  return out;
}

}  // namespace

TEST_CASE("log: one line an event, as text and as JSON, at its level and above") {
  const std::string time = R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)";
  for (log::Format wanted : {log::Format::text, log::Format::json}) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    UniqueFd read_end(ends[0]), write_end(ends[1]);
    log::start(wanted, log::Level::info, write_end.get());
    CHECK(log::format_in_use() == wanted);
    log::error("service {}: {}", "git", "no \"server\"");
    log::debug("unseen {}", 1);
    log::set_level(log::Level::debug);
    log::debug("seen {}", 2);
    log::set_level(log::Level::error);
    log::warn("unseen {}", 3);
    log::write_raw("raw line\n");
    log::stop();
    std::string lines = drain(read_end.get());
    INFO(lines);
    if (wanted == log::Format::text) {
      CHECK(std::regex_match(
          lines, std::regex(time + " error service git: no \"server\"\n" + time + " debug seen 2\nraw line\n")));
    } else {
      CHECK(std::regex_match(lines, std::regex("\\{\"time\":\"" + time +
                                               R"(","level":"error","message":"service git: no \\"server\\""\})"
                                               "\n" +
                                               "\\{\"time\":\"" + time +
                                               R"(","level":"debug","message":"seen 2"\})"
                                               "\nraw line\n")));
    }
  }
  log::start(log::Format::text, log::Level::info, 2);
  log::stop();
}

TEST_CASE("log: a target that takes nothing costs lines, not time") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  log::start(log::Format::text, log::Level::info, write_end.get());
  uint64_t before = log::dropped();
  const std::string line = std::string(1023, 'x') + "\n";
  constexpr size_t kLines = 12'000;
  for (size_t i = 0; i < kLines; ++i) log::write_raw(line);
  // 4 MiB are kept, and up to as much again is being written.
  uint64_t dropped = log::dropped() - before;
  CHECK(dropped >= kLines - 2 * 4096 - 64);
  CHECK(dropped <= kLines - 4096);
  std::atomic<bool> stopped{false};
  std::thread stopper([&] {
    log::stop();
    stopped = true;
  });
  // Among the lines stands how many are missing, once or in parts.
  std::string got;
  for (bool over = false; !over;) {
    over = stopped;
    got += drain(read_end.get());
    if (!over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  stopper.join();
  size_t told = 0;
  size_t notices = 0;
  const std::string_view words = " log lines were dropped: the target did not take them\n";
  for (size_t at = got.find(words); at != std::string::npos; at = got.find(words, at + 1), ++notices) {
    const size_t begin = got.find_last_not_of("0123456789", at - 1) + 1;
    told += std::stoul(got.substr(begin, at - begin));
  }
  CHECK(told == dropped);
  CHECK(std::count(got.begin(), got.end(), '\n') == static_cast<ptrdiff_t>(kLines - dropped + notices));
  log::start(log::Format::text, log::Level::info, 2);
  log::stop();
}

TEST_CASE("error: one line of what, detail and the system's words") {
  CHECK(Error::from_errno(ECONNREFUSED, Side::upstream, Retry::other_endpoint, "connect").text() ==
        "connect: Connection refused");
  CHECK(Error::from_errno(ECONNREFUSED, Side::upstream, Retry::no, "").kind == Kind::refused);
  CHECK(Error::from_errno(ETIMEDOUT, Side::upstream, Retry::no, "").kind == Kind::timeout);
  CHECK(Error::from_errno(EPIPE, Side::client, Retry::no, "").kind == Kind::io);
  CHECK(Error{Kind::tls, Side::client, Retry::no, 0, "TLS handshake", "bad"}.text() == "TLS handshake: bad");
}

}  // namespace sallyport
