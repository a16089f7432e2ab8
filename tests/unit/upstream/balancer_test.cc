#include "upstream/balancer.h"

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

std::string turns(Balancer& balancer, int count, Tried tried = 0) {
  std::string out;
  for (int i = 0; i < count; ++i) {
    int index = balancer.pick(0, tried);
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
    CHECK(balancer.pick(0, 0b10) == -1);
    CHECK(servers.endpoints[0]->set_address(*Address::parse("10.0.0.1:80")));
    CHECK_FALSE(servers.endpoints[0]->set_address(*Address::parse("10.0.0.1:80")));
    CHECK(servers.endpoints[0]->generation() == 1);
    CHECK(balancer.pick(0, 0b10) == 0);
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
  CHECK(balancer.pick(0, 0b01) == 1);
}

TEST_CASE("source-hash: a client keeps its server, weights are shares, and a leaving server moves only its own") {
  constexpr int kClients = 10'000;
  Upstream all = upstream(config::Balance::source_hash, {1, 1, 2, 0, 1});
  Balancer before(all, 0);
  Balancer other_worker(all, 3);
  std::map<int, int> share;
  std::vector<int> chosen;
  for (int c = 0; c < kClients; ++c) {
    int index = before.pick(client(c), 0);
    REQUIRE(index == other_worker.pick(client(c), 0));
    REQUIRE(index == before.pick(client(c), 0));
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
    int now = after.pick(client(c), 0) + 1;
    if (chosen[static_cast<size_t>(c)] != 0) REQUIRE(now == chosen[static_cast<size_t>(c)]);
    // A retry goes where the client would go if the server were gone.
    if (chosen[static_cast<size_t>(c)] == 0) REQUIRE(now == before.pick(client(c), 0b1));
  }
}

TEST_CASE("source-hash: a server is known by its name, wherever it stands and whatever its address") {
  Upstream one = upstream(config::Balance::source_hash, {1, 1, 1});
  Upstream turned = one;
  std::swap(turned.endpoints[0], turned.endpoints[2]);
  Balancer a(one, 0), b(turned, 0);
  for (int c = 0; c < 200; ++c) CHECK(a.pick(client(c), 0) == 2 - b.pick(client(c), 0));
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
  for (int c = 0; c < 250; ++c) ++share[a.pick(stable_hash(std::string{10, 0, 7, static_cast<char>(c)}), 0)];
  for (int index = 0; index < 3; ++index) CHECK(share[index] > 50);
}

}  // namespace sallyport
