// What is told to whom and when, on a clock that the test moves.
#include "runtime/alert_book.h"

#include "catch.h"

namespace sallyport {
namespace {

using config::Alert;

constexpr uint64_t kSecond = 1'000;
constexpr int64_t kUnix = 1'764'000'000'000;

Alert receiver(const std::string& name, unsigned on = Alert::kEverything, uint32_t limit = 1000) {
  Alert alert;
  alert.name = name;
  alert.on = on;
  alert.limit = limit;
  return alert;
}

AlertChange server(const std::string& name, bool up) {
  AlertChange change;
  change.event = Alert::kServer;
  change.state = up ? "up" : "down";
  change.severity = up ? AlertChange::Severity::info : AlertChange::Severity::warn;
  change.subject = "server web/" + name;
  change.fact = change.state;
  change.good = up;
  change.server = name;
  change.text = name + " is " + change.state;
  return change;
}

struct World {
  explicit World(std::vector<Alert> alerts = {receiver("a")}) { book.configure(alerts); }
  void note(AlertChange change) {
    change.time = kUnix + static_cast<int64_t>(now);
    book.note(std::move(change), now);
  }
  // Goes on to then, taking and sending whatever comes; what was sent, as "when name: line | line".
  std::vector<std::string> until(uint64_t then, bool works = true) {
    std::vector<std::string> out;
    for (;;) {
      const auto next = book.next();
      if (!next || *next > then) break;
      const uint64_t before = now;
      now = std::max(now, *next);
      auto taken = book.take(now, kUnix + static_cast<int64_t>(now));
      for (const auto& alert : taken.limited)
        out.push_back(std::to_string(now / 1000) + " " + alert->name + " limited");
      for (const auto& [alert, count] : taken.dropped) dropped += count;
      for (auto& due : taken.due) {
        std::string line = std::to_string(now / 1000) + " " + due.alert->name + ":";
        for (const AlertChange& change : due.message.changes) line += " " + change.text + ",";
        line.pop_back();
        out.push_back(line);
        messages.push_back(due.message);
        if (works)
          book.sent(due.alert, now);
        else
          lost += book.failed(due.alert, std::move(due.message), true, now, kUnix + static_cast<int64_t>(now));
      }
      REQUIRE((now > before || !taken.due.empty() || book.next() != next));  // it goes on
    }
    now = then;
    return out;
  }
  AlertBook book{"gate", 7};
  uint64_t now = 1'000 * kSecond;
  size_t dropped = 0;
  size_t lost = 0;
  std::vector<AlertMessage> messages;
};
using Lines = std::vector<std::string>;

TEST_CASE("alerts: one that goes down and comes back is told twice, the second time when it has stayed") {
  World world;
  world.note(server("s1", false));
  CHECK(world.until(1'060 * kSecond) == Lines{"1005 a: s1 is down"});
  world.note(server("s1", true));
  CHECK(world.until(2'000 * kSecond) == Lines{"1090 a: s1 is up"});
  CHECK_FALSE(world.book.next());
  CHECK(world.book.waiting() == 0);
}

TEST_CASE("alerts: what is as one expects is not told, nor what was over before anybody was told") {
  World world;
  world.note(server("s1", true));
  CHECK_FALSE(world.book.next());
  world.note(server("s2", false));
  world.until(1'003 * kSecond);
  world.note(server("s2", true));
  CHECK(world.until(2'000 * kSecond).empty());
}

TEST_CASE("alerts: the same state again is no change") {
  World world;
  world.note(server("s1", false));
  world.until(1'100 * kSecond);
  world.note(server("s1", false));
  CHECK(world.until(3'000 * kSecond).empty());
}

TEST_CASE("alerts: forty servers of a switch are one message") {
  World world;
  for (int i = 0; i < 40; ++i) {
    world.note(server("s" + std::to_string(i), false));
    CHECK(world.until(world.now + 150).empty());  // within six seconds
  }
  REQUIRE(world.until(2'000 * kSecond).size() == 1);
  CHECK(world.messages[0].changes.size() == 40);
  CHECK(world.messages[0].changes[39].text == "s39 is down");
  CHECK(world.messages[0].title() == "40 servers down");
  CHECK(world.dropped == 0);
}

TEST_CASE("alerts: a stream of changes does not hold up the first for ever") {
  World world;
  Lines lines;
  for (int i = 0; i < 40; ++i) {
    world.note(server("s" + std::to_string(i), false));
    for (auto& line : world.until(world.now + kSecond)) lines.push_back(line);
  }
  REQUIRE(lines.size() >= 2);
  CHECK(lines[0].starts_with("1015 a: s0 is down"));
}

TEST_CASE("alerts: one that flaps is told rarely, and at last as it is") {
  World world;
  Lines lines;
  const auto collect = [&](uint64_t then) {
    for (auto& line : world.until(then)) lines.push_back(line);
  };
  const uint64_t begin = world.now;
  for (int i = 0; i < 180; ++i) {  // half an hour, every ten seconds
    world.note(server("s1", i % 2 == 1));
    collect(world.now + 10 * kSecond);
  }
  CHECK(lines.size() >= 2);
  CHECK(lines.size() <= 8);
  CHECK(lines[0] == "1005 a: s1 is down");
  for (size_t i = 1; i < world.messages.size(); ++i)
    CHECK(world.messages[i].time - world.messages[i - 1].time >= static_cast<int64_t>(AlertBook::kQuiet));
  collect(begin + 3 * 3'600 * kSecond);
  CHECK(lines.back().ends_with("s1 is up"));
  uint32_t changes = 0;
  for (const AlertMessage& message : world.messages) changes += message.changes[0].changes;
  CHECK(changes >= 180 - 30);  // those of the last five minutes led back to what was told
}

TEST_CASE("alerts: slow flapping is told less and less often") {
  World world;
  size_t messages = 0;
  for (int i = 0; i < 100; ++i) {  // every 40 seconds: each state stays for longer than 30 s
    world.note(server("s1", i % 2 == 1));
    messages += world.until(world.now + 40 * kSecond).size();
  }
  CHECK(messages >= 5);
  CHECK(messages <= 20);
}

TEST_CASE("alerts: each gets what it asked for") {
  World world({receiver("all"), receiver("certificates", Alert::kCertificate), receiver("servers", Alert::kServer)});
  world.note(server("s1", false));
  CHECK(world.until(1'100 * kSecond) == Lines{"1005 all: s1 is down", "1005 servers: s1 is down"});
  AlertChange test;
  test.subject = test.fact = test.text = "test";
  world.note(test);
  CHECK(world.until(1'200 * kSecond).size() == 3);
}

TEST_CASE("alerts: over the limit things wait, and are told together in their last state") {
  World world({receiver("a", Alert::kEverything, 2)});
  Lines lines;
  for (int i = 0; i < 6; ++i) {
    world.note(server("s" + std::to_string(i), false));
    for (auto& line : world.until(world.now + 60 * kSecond)) lines.push_back(line);
  }
  world.note(server("s2", true));
  for (auto& line : world.until(world.now + 7'200 * kSecond)) lines.push_back(line);
  CHECK(lines == Lines{"1005 a: s0 is down", "1065 a: s1 is down", "1125 a limited",
                       "4605 a: s3 is down, s4 is down, s5 is down, s2 is up"});
}

TEST_CASE("alerts: one that cannot be reached is tried again, ever more rarely, and told the last state") {
  World world;
  world.note(server("s1", false));
  world.note(server("s2", false));
  CHECK(world.until(1'200 * kSecond, false) == Lines{"1005 a: s1 is down, s2 is down"});
  world.note(server("s1", true));
  CHECK(world.until(2'500 * kSecond, false) == Lines{"1305 a: s2 is down, s1 is up", "1905 a: s2 is down, s1 is up"});
  CHECK(world.lost == 0);
  CHECK(world.until(9'000 * kSecond) == Lines{"3105 a: s2 is down, s1 is up"});
  CHECK(world.book.waiting() == 0);
}

TEST_CASE("alerts: what is a day old is given up, and counted") {
  World world;
  world.note(server("s1", false));
  world.until(world.now + 30 * 3'600 * kSecond, false);
  CHECK(world.lost == 1);
  CHECK(world.book.waiting() == 0);
  CHECK_FALSE(world.book.next());
}

TEST_CASE("alerts: a receiver that hangs holds up only itself") {
  World world({receiver("hangs"), receiver("works")});
  world.note(server("s1", false));
  world.now += 6 * kSecond;
  auto taken = world.book.take(world.now, kUnix);
  REQUIRE(taken.due.size() == 2);
  const auto hangs = taken.due[0].alert;
  world.book.sent(taken.due[1].alert, world.now);
  world.note(server("s2", false));
  world.note(server("s3", false));
  CHECK(world.until(1'100 * kSecond) == Lines{"1011 works: s2 is down, s3 is down"});
  world.book.sent(hangs, world.now);
  CHECK(world.until(1'200 * kSecond) == Lines{"1100 hangs: s2 is down, s3 is down"});
}

TEST_CASE("alerts: more than can wait is counted, and its number told") {
  World world;
  for (size_t i = 0; i < AlertBook::kMostChanges + 30; ++i) world.note(server("s" + std::to_string(i), false));
  world.until(1'100 * kSecond);
  REQUIRE(world.messages.size() == 1);
  CHECK(world.messages[0].changes.size() == AlertBook::kMostChanges);
  CHECK(world.messages[0].omitted == 30);
  CHECK(world.dropped == 30);
}

TEST_CASE("alerts: what goes with a reload is not told of, and begins anew") {
  World world;
  world.note(server("told", false));
  world.until(1'100 * kSecond);
  world.note(server("new", false));
  world.book.forget_unless([](const std::string&) { return false; });
  CHECK(world.until(1'200 * kSecond).empty());
  world.note(server("told", true));  // nobody knows of it being down any more
  CHECK(world.until(1'300 * kSecond).empty());
  world.note(server("told", false));
  CHECK(world.until(1'400 * kSecond) == Lines{"1305 a: told is down"});
}

TEST_CASE("alerts: other settings keep what is owed") {
  World world({receiver("a", Alert::kEverything, 1), receiver("b", Alert::kEverything, 1)});
  world.note(server("s1", false));
  world.until(1'100 * kSecond);
  world.note(server("s2", false));
  CHECK(world.until(1'200 * kSecond) == Lines{"1105 a limited", "1105 b limited"});
  // a stays as it is, and so does its limit; b has another one.
  world.book.configure({receiver("a", Alert::kEverything, 1), receiver("b", Alert::kEverything, 5)});
  CHECK(world.until(1'300 * kSecond) == Lines{"1200 b: s2 is down"});
  CHECK(world.until(6'000 * kSecond) == Lines{"4605 a: s2 is down"});
  world.book.configure({});
  CHECK(world.book.empty());
  world.note(server("s3", false));
  CHECK(world.until(9'000 * kSecond).empty());
}

AlertChange certificate(const std::string& fact, bool good = false) {
  AlertChange change;
  change.event = Alert::kCertificate;
  change.state = good ? "valid" : "expiring";
  change.subject = "certificate a.pem";
  change.fact = fact;
  change.good = good;
  change.text = good ? "good again" : "ends: " + fact;
  return change;
}

TEST_CASE("alerts: each limit of a certificate is told once, over a restart too") {
  World before;
  before.note(certificate("14 99"));
  CHECK(before.until(2'000 * kSecond) == Lines{"1005 a: ends: 14 99"});
  before.note(server("s1", false));
  before.until(3'000 * kSecond);
  const std::string saved = before.book.save();
  CHECK(saved == "certificate a.pem\t14 99\n");

  World after;
  after.book.restore(saved + "certificate broken\nserver web/s1\tdown\n\t\n");
  CHECK(after.book.save() == saved);
  CHECK(after.book.waiting() == 0);
  after.note(certificate("14 99"));
  CHECK(after.until(2'000 * kSecond).empty());
  after.note(certificate("7 99"));
  CHECK(after.until(3'000 * kSecond) == Lines{"2005 a: ends: 7 99"});
  after.note(certificate("", true));
  CHECK(after.until(4'000 * kSecond) == Lines{"3005 a: good again"});
  CHECK(after.book.save().empty());
}

}  // namespace
}  // namespace sallyport
