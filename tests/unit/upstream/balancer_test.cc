#include "upstream/balancer.h"

#include <algorithm>
#include <map>

#include "catch.h"

namespace sallyport {
namespace {

std::shared_ptr<Endpoint> endpoint(const std::string& host, uint32_t weight = 1) {
  config::Server server;
  server.text = host + ":80";
  server.host = host;
  server.port = 80;
  server.weight = weight;
  return std::make_shared<Endpoint>(server, 0);
}

Upstream upstream(config::Balance balance, const std::vector<uint32_t>& weights) {
  Upstream out;
  out.balance = balance;
  for (size_t i = 0; i < weights.size(); ++i)
    out.endpoints.push_back(endpoint("10.0.0." + std::to_string(i + 1), weights[i]));
  return out;
}

int pick(Balancer& balancer, uint64_t key, Tried tried) {
  Balancer::Wish wish;
  wish.key = key;
  wish.tried = tried;
  return balancer.pick(wish).index;
}

std::string turns(Balancer& balancer, int count, Tried tried = 0) {
  std::string out;
  for (int i = 0; i < count; ++i) {
    int index = pick(balancer, 0, tried);
    out += index < 0 ? '-' : static_cast<char>('a' + index);
  }
  return out;
}

uint64_t client(int number) { return stable_hash("client" + std::to_string(number)); }

}  // namespace

TEST_CASE("round-robin: turns follow the weights and are spread out") {
  struct Row {
    std::vector<uint32_t> weights;
    Tried tried;
    const char* turns;
  };
  for (const Row& row : {
           Row{{1, 1, 1}, 0, "abcabcabc"},
           Row{{5, 1, 1}, 0, "aabacaaaabacaa"},
           Row{{4, 2, 1}, 0, "abacabaabacaba"},
           Row{{1, 0, 1}, 0, "acacac"},
           Row{{0, 0}, 0, "----"},
           Row{{0}, 0, "--"},
           Row{{3}, 0, "aaa"},
           Row{{256, 1}, 0, "aaaaaa"},
           Row{{1, 1, 1}, 0b010, "acacac"},
           Row{{5, 1, 1}, 0b001, "bcbc"},
           Row{{1, 1}, 0b11, "--"},
           Row{{1}, 0b1, "-"},
           Row{{}, 0, "--"},
       }) {
    CAPTURE(row.weights, row.tried);
    Upstream servers = upstream(config::Balance::round_robin, row.weights);
    Balancer balancer(servers, 0);
    std::string expected = row.turns;
    CHECK(turns(balancer, static_cast<int>(expected.size()), row.tried) == expected);
  }
}

TEST_CASE("round-robin: workers begin with different servers, and a large weight gets exactly its share") {
  Upstream servers = upstream(config::Balance::round_robin, {1, 1, 1});
  std::string firsts;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    Balancer balancer(servers, seed);
    firsts += turns(balancer, 1);
  }
  CHECK(firsts == "abca");
  Upstream uneven = upstream(config::Balance::round_robin, {256, 1});
  Balancer balancer(uneven, 0);
  std::string all = turns(balancer, 257);
  CHECK(std::count(all.begin(), all.end(), 'b') == 1);
}

TEST_CASE("a server without an address gets no turn until its name resolves") {
  for (config::Balance balance :
       {config::Balance::round_robin, config::Balance::least_connections, config::Balance::source_hash}) {
    Upstream servers;
    servers.balance = balance;
    servers.endpoints = {endpoint("nas.lan"), endpoint("10.0.0.2")};
    CHECK(servers.endpoints[0]->host() == "nas.lan");
    Balancer balancer(servers, 0);
    CHECK(turns(balancer, 4) == "bbbb");
    CHECK(pick(balancer, 0, 0b10) == -1);
    CHECK(servers.endpoints[0]->set_address(*Address::parse("10.0.0.1:80")));
    CHECK_FALSE(servers.endpoints[0]->set_address(*Address::parse("10.0.0.1:80")));
    CHECK(servers.endpoints[0]->generation() == 0);  // there is no connection to another address
    CHECK(pick(balancer, 0, 0b10) == 0);
    CHECK(servers.endpoints[0]->set_address(*Address::parse("10.0.0.3:80")));
    CHECK(servers.endpoints[0]->generation() == 1);
  }
}

TEST_CASE("least-connections: the lightest for its weight, and turns among equals") {
  struct Row {
    std::vector<uint32_t> weights, loads;
    const char* turns;
  };
  for (const Row& row : {
           Row{{1, 1, 1}, {0, 0, 0}, "abcabc"},
           Row{{1, 1, 1}, {2, 1, 2}, "bbb"},
           Row{{1, 4}, {0, 2}, "bb"},    // 1/1 against 3/4
           Row{{1, 4}, {0, 4}, "aa"},    // 1/1 against 5/4
           Row{{1, 2}, {0, 1}, "abab"},  // equal
           Row{{0, 1}, {0, 900}, "bb"},
           Row{{1, 1}, {4'000'000'000, 4'000'000'001}, "aa"},
       }) {
    CAPTURE(row.weights, row.loads);
    Upstream servers = upstream(config::Balance::least_connections, row.weights);
    for (size_t i = 0; i < row.loads.size(); ++i) servers.endpoints[i]->load = row.loads[i];
    Balancer balancer(servers, 0);
    std::string expected = row.turns;
    CHECK(turns(balancer, static_cast<int>(expected.size())) == expected);
  }
  Upstream servers = upstream(config::Balance::least_connections, {1, 1});
  servers.endpoints[1]->load = 9;
  Balancer balancer(servers, 0);
  CHECK(pick(balancer, 0, 0b01) == 1);
}

TEST_CASE("source-hash: a client keeps its server, weights are shares, and a leaving server moves only its own") {
  constexpr int kClients = 10'000;
  Upstream all = upstream(config::Balance::source_hash, {1, 1, 2, 0, 1});
  Balancer before(all, 0);
  Balancer other_worker(all, 3);
  std::map<int, int> share;
  std::vector<int> chosen;
  for (int c = 0; c < kClients; ++c) {
    int index = pick(before, client(c), 0);
    REQUIRE(index == pick(other_worker, client(c), 0));
    REQUIRE(index == pick(before, client(c), 0));
    ++share[index];
    chosen.push_back(index);
  }
  CHECK(share[3] == 0);
  for (int index : {0, 1, 4}) CHECK(std::abs(share[index] - kClients / 5) < kClients / 50);
  CHECK(std::abs(share[2] - 2 * kClients / 5) < kClients / 50);

  Upstream fewer = all;
  fewer.endpoints.erase(fewer.endpoints.begin());
  Balancer after(fewer, 0);
  for (int c = 0; c < kClients; ++c) {
    int now = pick(after, client(c), 0) + 1;
    if (chosen[static_cast<size_t>(c)] != 0) REQUIRE(now == chosen[static_cast<size_t>(c)]);
    // A retry goes where the client would go if the server were gone.
    if (chosen[static_cast<size_t>(c)] == 0) REQUIRE(now == pick(before, client(c), 0b1));
  }
}

TEST_CASE("source-hash: a server is known by its name, wherever it stands and whatever its address") {
  Upstream one = upstream(config::Balance::source_hash, {1, 1, 1});
  Upstream turned = one;
  std::swap(turned.endpoints[0], turned.endpoints[2]);
  Balancer a(one, 0), b(turned, 0);
  for (int c = 0; c < 200; ++c) CHECK(pick(a, client(c), 0) == 2 - pick(b, client(c), 0));
  config::Server server;
  server.text = "10.0.0.1:80";
  server.name = "nas";
  server.host = "10.0.0.1";
  config::Server moved = server;
  moved.text = "10.9.9.9:80";
  CHECK(Endpoint(server, 80).hash() == Endpoint(moved, 80).hash());
  CHECK(Endpoint(server, 80).address().text() == "10.0.0.1:80");  // the listener's port where none is written
  // Neighbouring IPv4 addresses must not land together.
  std::map<int, int> share;
  for (int c = 0; c < 250; ++c) ++share[pick(a, stable_hash(std::string{10, 0, 7, static_cast<char>(c)}), 0)];
  for (int index = 0; index < 3; ++index) CHECK(share[index] > 50);
}

namespace {

using Chosen = Balancer::Choice::Kind;

Balancer::Choice choose(Balancer& balancer, ServerBits full = 0, int preferred = -1, Tried tried = 0) {
  Balancer::Wish wish;
  wish.full = full;
  wish.preferred = preferred;
  wish.tried = tried;
  return balancer.pick(wish);
}

void take_down(Upstream& servers, size_t index) {
  config::Health rules;
  CHECK(servers.endpoints[index]->health.check_failed(rules, 1, 1, "refused"));
}

}  // namespace

TEST_CASE("servers that are down get no turn, backups only when no other is up") {
  for (auto balance : {config::Balance::round_robin, config::Balance::least_connections, config::Balance::source_hash,
                       config::Balance::uri_hash, config::Balance::random}) {
    CAPTURE(static_cast<int>(balance));
    Upstream servers = upstream(balance, {1, 1});
    config::Server spare;
    spare.text = spare.host = "10.0.0.9";
    spare.port = 80;
    spare.backup = true;
    servers.endpoints.push_back(std::make_shared<Endpoint>(spare, 0));
    Balancer balancer(servers, 0);
    for (int i = 0; i < 20; ++i) CHECK(choose(balancer).index != 2);
    take_down(servers, 0);
    for (int i = 0; i < 20; ++i) CHECK(choose(balancer).index == 1);
    CHECK(choose(balancer, 0, -1, 0b010).index == 2);
    CHECK(choose(balancer, 0, 2).index == 1);  // whoever was with the backup leaves it
    take_down(servers, 1);
    CHECK(choose(balancer).index == 2);
    take_down(servers, 2);
    CHECK(choose(balancer).kind == Chosen::none);
    CHECK_FALSE(balancer.another(0));
  }
}

TEST_CASE("who was with a server stays there, but for one that is down") {
  Upstream servers = upstream(config::Balance::round_robin, {1, 1, 1});
  Balancer balancer(servers, 0);
  for (int i = 0; i < 6; ++i) CHECK(choose(balancer, 0, 2).index == 2);
  CHECK(choose(balancer, 0, 2, 0b100).index != 2);
  CHECK(choose(balancer, 0, 7).index >= 0);
  take_down(servers, 2);
  CHECK(choose(balancer, 0, 2).index != 2);
}

TEST_CASE("a full server is passed over; hashes and those who belong to it wait for it") {
  Upstream servers = upstream(config::Balance::round_robin, {1, 1});
  Balancer balancer(servers, 0);
  for (int i = 0; i < 4; ++i) CHECK(choose(balancer, 0b01).index == 1);
  CHECK(choose(balancer, 0b11).kind == Chosen::busy);
  CHECK(choose(balancer, 0b11).index == -1);
  CHECK(choose(balancer, 0b01, 0).kind == Chosen::busy);
  CHECK(choose(balancer, 0b01, 0).index == 0);
  servers.balance = config::Balance::source_hash;
  const auto hashed = choose(balancer, 0b11);
  CHECK(hashed.kind == Chosen::busy);
  CHECK(hashed.index >= 0);
}

TEST_CASE("a server that only traffic has found fault with is better than none") {
  Upstream servers = upstream(config::Balance::round_robin, {1, 1});
  config::Health rules;
  rules.passive_failures = 1;
  Balancer balancer(servers, 0);
  CHECK(servers.endpoints[0]->health.traffic_failed(rules, 1000, "status 500"));
  for (int i = 0; i < 4; ++i) CHECK(choose(balancer).index == 1);
  CHECK(servers.endpoints[1]->health.traffic_failed(rules, 1000, "status 500"));
  CHECK(choose(balancer).kind == Chosen::server);
  take_down(servers, 0);
  for (int i = 0; i < 4; ++i) CHECK(choose(balancer).index == 1);
}

TEST_CASE("slow start: a server that came back works its way up to its share") {
  Upstream servers = upstream(config::Balance::round_robin, {1, 1});
  servers.slow_start = std::chrono::seconds(10);
  config::Health rules;
  rules.rise = rules.fall = 1;
  servers.endpoints[0]->health.check_failed(rules, 1'000, 1, "refused");
  CHECK(servers.endpoints[0]->health.check_passed(rules, 100'000, 1));
  const auto share_at = [&](uint64_t now) {
    Balancer balancer(servers, 0);
    int mine = 0;
    for (int i = 0; i < 1000; ++i) {
      Balancer::Wish wish;
      wish.now_ms = now;
      mine += balancer.pick(wish).index == 0;
    }
    return mine;
  };
  CHECK(share_at(100'001) < 20);
  CHECK(std::abs(share_at(105'000) - 333) < 20);
  CHECK(std::abs(share_at(110'000) - 500) < 20);
}

TEST_CASE("random: two are drawn by weight, and the lighter of them is taken") {
  Upstream servers = upstream(config::Balance::random, {1, 1, 2});
  Balancer balancer(servers, 0);
  std::map<int, int> share;
  for (int i = 0; i < 8000; ++i) ++share[choose(balancer).index];
  CHECK(std::abs(share[2] - 4000) < 400);
  servers.endpoints[2]->load = 100;
  share.clear();
  for (int i = 0; i < 8000; ++i) ++share[choose(balancer).index];
  CHECK(std::abs(share[2] - 2000) < 400);  // only where it was drawn twice
}

TEST_CASE("what the operator says of a server: disabled gets nobody, draining only who was there before") {
  using enum AdminState;
  using Chosen = Balancer::Choice::Kind;
  struct Row {
    std::vector<AdminState> states;
    int preferred;
    const char* turns;
  };
  for (const Row& row : {
           Row{{enabled, enabled}, -1, "abab"},
           Row{{disabled, enabled}, -1, "bbbb"},
           Row{{draining, enabled}, -1, "bbbb"},
           Row{{disabled, enabled}, 0, "bbbb"},
           Row{{draining, enabled}, 0, "aaaa"},
           Row{{draining, draining}, -1, "----"},
           Row{{draining, draining}, 1, "bbbb"},
           Row{{draining, disabled}, 1, "----"},
           Row{{disabled, disabled}, 0, "----"},
           Row{{disabled}, -1, "----"},
           Row{{draining}, -1, "----"},
           Row{{draining}, 0, "aaaa"},
           Row{{disabled}, 0, "----"},
       }) {
    CAPTURE(row.turns, row.preferred);
    Upstream servers = upstream(config::Balance::round_robin, std::vector<uint32_t>(row.states.size(), 1));
    for (size_t i = 0; i < row.states.size(); ++i) servers.endpoints[i]->set_admin(row.states[i]);
    Balancer balancer(servers, 0);
    std::string out;
    for (int i = 0; i < 4; ++i) {
      Balancer::Wish wish;
      wish.preferred = row.preferred;
      const Balancer::Choice choice = balancer.pick(wish);
      out += choice.kind == Chosen::server ? static_cast<char>('a' + choice.index) : '-';
      // Who waits in a queue goes by the same.
      const auto candidates = balancer.candidates(0, row.preferred);
      const bool stands = std::find(candidates.begin(), candidates.end(), static_cast<size_t>(choice.index)) != candidates.end();
      CHECK((choice.kind == Chosen::none) == candidates.empty());
      CHECK((choice.kind == Chosen::none || stands));
    }
    CHECK(out == row.turns);
  }
}

TEST_CASE("a draining backup keeps its clients only while no other server is up") {
  Upstream servers = upstream(config::Balance::round_robin, {1, 1});
  servers.endpoints[1]->set_backup(true);
  servers.endpoints[1]->set_admin(AdminState::draining);
  Balancer balancer(servers, 0);
  Balancer::Wish wish;
  wish.preferred = 1;
  CHECK(balancer.pick(wish).index == 0);
  servers.endpoints[0]->set_admin(AdminState::disabled);
  CHECK(balancer.pick(wish).index == 1);
}

TEST_CASE("the operator's weight goes before the written one, until it is taken back") {
  Upstream servers = upstream(config::Balance::round_robin, {1, 1});
  Balancer balancer(servers, 0);
  servers.endpoints[0]->tell_weight(3);
  CHECK(turns(balancer, 8) == "aabaaaba");
  CHECK(servers.endpoints[0]->written_weight() == 1);
  servers.endpoints[0]->set_weight(7);  // an SRV record's
  CHECK(servers.endpoints[0]->weight() == 3);
  servers.endpoints[0]->tell_weight(0);
  CHECK(turns(balancer, 3) == "bbb");
  servers.endpoints[0]->forget_told_weight();
  CHECK(servers.endpoints[0]->weight() == 7);
}

}  // namespace sallyport
