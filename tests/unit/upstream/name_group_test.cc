// Which address of an answer stands in which place.
#include "upstream/name_group.h"

#include <optional>
#include <tuple>

#include "catch.h"

namespace sallyport {
namespace {

using config::Resolve;

Address ip(const std::string& text) { return *Address::parse_ip(text, 0); }

Resolved addresses(const std::vector<std::string>& ips) {
  Resolved out;
  for (const std::string& one : ips) out.addresses.push_back(ip(one));
  return out;
}

struct Record {
  const char* host;
  uint16_t port, priority, weight;
  std::vector<std::string> ips;
};
Resolved records(const std::vector<Record>& list) {
  Resolved out;
  for (const Record& record : list) {
    SrvTarget target{record.host, record.port, record.priority, record.weight, {}};
    for (const std::string& one : record.ips) target.addresses.push_back(ip(one).with_port(record.port));
    out.targets.push_back(std::move(target));
  }
  return out;
}

// The endpoints of one server, and their group.
struct Server {
  explicit Server(Resolve resolve, int places, uint32_t weight = 1, bool backup = false) {
    config::Server written;
    written.text = written.host = resolve == Resolve::srv ? "_http._tcp.web.lan" : "web.lan";
    if (resolve != Resolve::srv) written.text += ":" + std::to_string(written.port = 80);
    written.weight = weight;
    written.backup = backup;
    if (resolve == Resolve::first) endpoints.push_back(std::make_shared<Endpoint>(written, 0));
    for (int i = 0; i < places && resolve != Resolve::first; ++i)
      endpoints.push_back(std::make_shared<Endpoint>(written, 443, resolve, i));
    group.emplace(std::vector<std::weak_ptr<Endpoint>>(endpoints.begin(), endpoints.end()));
  }
  // What changed: "+came -left !turned away".
  std::string apply(const Resolved& answer) {
    const NameGroup::Change change = group->apply(answer, 1);
    std::string out;
    for (const std::string& one : change.came) out += "+" + one + " ";
    for (const std::string& one : change.left) out += "-" + one + " ";
    if (change.turned_away > 0) out += "!" + std::to_string(change.turned_away);
    return out;
  }
  // What stands where.
  std::string places() const {
    std::string out;
    for (const auto& endpoint : endpoints) {
      const Endpoint::Addresses now = endpoint->addresses();
      out += now.first.empty() ? "-" : now.first.text();
      if (!now.second.empty()) out += "|" + now.second.text();
      out += " ";
    }
    return out;
  }
  std::vector<std::shared_ptr<Endpoint>> endpoints;
  std::optional<NameGroup> group;
};

}  // namespace

TEST_CASE("first: one address of each family, kept as long as it is in the answer") {
  Server server(Resolve::first, 1);
  const Endpoint& endpoint = *server.endpoints[0];
  CHECK(server.apply(addresses({"10.0.0.1", "10.0.0.2"})) == "+10.0.0.1:80 ");
  CHECK(server.places() == "10.0.0.1:80 ");
  CHECK_FALSE(endpoint.has_two());
  CHECK(server.apply(addresses({"10.0.0.2", "10.0.0.1"})) == "");
  const uint32_t generation = endpoint.generation();
  // A second family comes: what is connected stays.
  CHECK(server.apply(addresses({"fd00::1", "10.0.0.2", "10.0.0.1"})) == "+[fd00::1]:80 -10.0.0.1:80 ");
  CHECK(server.places() == "[fd00::1]:80|10.0.0.1:80 ");
  CHECK(endpoint.has_two());
  CHECK(endpoint.generation() == generation);
  // One goes: connections to it are not used again.
  CHECK(server.apply(addresses({"10.0.0.1"})) == "+10.0.0.1:80 -[fd00::1]:80 ");
  CHECK(endpoint.generation() == generation + 1);
  CHECK(server.apply(addresses({"10.0.0.9"})) == "+10.0.0.9:80 -10.0.0.1:80 ");
  CHECK(endpoint.generation() == generation + 2);
  CHECK(endpoint.label() == "web.lan:80");
}

TEST_CASE("first: which family is the better is not forgotten with an answer that says nothing new") {
  Server server(Resolve::first, 1);
  Endpoint& endpoint = *server.endpoints[0];
  server.apply(addresses({"fd00::1", "10.0.0.1"}));
  endpoint.begin_with_other(ip("10.0.0.1").with_port(80));  // not the first: that is no news
  CHECK(server.places() == "[fd00::1]:80|10.0.0.1:80 ");
  endpoint.begin_with_other(ip("fd00::1").with_port(80));
  CHECK(server.places() == "10.0.0.1:80|[fd00::1]:80 ");
  server.apply(addresses({"fd00::1", "10.0.0.1"}));
  CHECK(server.places() == "10.0.0.1:80|[fd00::1]:80 ");
  server.apply(addresses({"fd00::2", "10.0.0.1"}));
  CHECK(server.places() == "[fd00::2]:80|10.0.0.1:80 ");
}

TEST_CASE("all: an address keeps its place, and what is in the answer no more leaves its place empty") {
  Server server(Resolve::all, 3);
  CHECK(server.places() == "- - - ");
  CHECK(server.endpoints[1]->label() == "web.lan:80");
  CHECK(server.apply(addresses({"10.0.0.1", "fd00::1"})) == "+10.0.0.1:80 +[fd00::1]:80 ");
  CHECK(server.places() == "10.0.0.1:80 [fd00::1]:80 - ");
  CHECK(server.endpoints[1]->label() == "web.lan:80 ([fd00::1]:80)");
  const uint64_t hash = server.endpoints[1]->hash();
  CHECK(server.apply(addresses({"fd00::1", "10.0.0.1"})) == "");
  CHECK(server.apply(addresses({"fd00::1"})) == "-10.0.0.1:80 ");
  CHECK(server.places() == "- [fd00::1]:80 - ");
  CHECK_FALSE(server.endpoints[0]->has_address());
  CHECK(server.endpoints[0]->generation() == 1);
  CHECK(server.apply(addresses({"10.0.0.4", "fd00::1", "10.0.0.5", "10.0.0.6", "10.0.0.7"})) ==
        "+10.0.0.4:80 +10.0.0.5:80 !2");
  CHECK(server.places() == "10.0.0.4:80 [fd00::1]:80 10.0.0.5:80 ");
  // source-hash: a client's server is where it was, in whichever place.
  server.apply(addresses({"10.0.0.1"}));
  server.apply(addresses({"fd00::1"}));
  CHECK(server.places() == "- [fd00::1]:80 - ");
  CHECK(server.endpoints[1]->hash() == hash);
  Server other(Resolve::all, 3);
  other.apply(addresses({"fd00::1"}));
  CHECK(other.endpoints[0]->hash() == hash);
  CHECK(other.endpoints[1]->hash() != hash);
}

TEST_CASE("all: another server in a place is not held to be down for the one before") {
  Server server(Resolve::all, 1);
  server.apply(addresses({"10.0.0.1"}));
  config::Health rules;
  rules.fall = 1;
  for (int i = 0; i < 2; ++i) server.endpoints[0]->health.check_failed(rules, 1, 1, "refused");
  CHECK_FALSE(server.endpoints[0]->health.usable());
  server.apply(addresses({"10.0.0.2"}));
  CHECK(server.endpoints[0]->health.usable());
}

TEST_CASE("all: there is a server at any time, also when every address changes") {
  Server server(Resolve::all, 3);
  server.apply(addresses({"10.0.0.1", "10.0.0.2", "10.0.0.3"}));
  CHECK(server.apply(addresses({"10.0.0.4"})) == "+10.0.0.4:80 -10.0.0.1:80 -10.0.0.2:80 -10.0.0.3:80 ");
  CHECK(server.places() == "10.0.0.4:80 - - ");
  CHECK(server.apply(addresses({"10.0.0.5"})) == "+10.0.0.5:80 -10.0.0.4:80 ");
  CHECK(server.places() == "- 10.0.0.5:80 - ");
}

TEST_CASE("all: endpoints that a reload has kept are found as they are") {
  Server server(Resolve::all, 3);
  server.apply(addresses({"10.0.0.1", "10.0.0.2"}));
  server.group.emplace(std::vector<std::weak_ptr<Endpoint>>(server.endpoints.begin(), server.endpoints.end()));
  CHECK(server.apply(addresses({"10.0.0.2", "10.0.0.3"})) == "+10.0.0.3:80 -10.0.0.1:80 ");
  CHECK(server.places() == "- 10.0.0.2:80 10.0.0.3:80 ");
}

TEST_CASE("srv: a record is a server, with its port, weight and priority") {
  Server server(Resolve::srv, 3);
  CHECK(server.apply(records({{"a.lan", 81, 10, 60, {"10.0.0.1"}},
                              {"a.lan", 82, 10, 0, {"10.0.0.1"}},
                              {"b.lan", 83, 20, 7, {"fd00::1", "10.0.0.3", "10.0.0.4"}},
                              {"c.lan", 84, 30, 1, {"10.0.0.5"}}})) == "+a.lan:81 +a.lan:82 +b.lan:83 !1");
  CHECK(server.places() == "10.0.0.1:81 10.0.0.1:82 [fd00::1]:83|10.0.0.3:83 ");
  CHECK(server.endpoints[0]->weight() == 60);
  CHECK(server.endpoints[1]->weight() == 1);
  CHECK(server.endpoints[2]->weight() == 7);
  CHECK_FALSE(server.endpoints[0]->backup());
  CHECK_FALSE(server.endpoints[1]->backup());
  CHECK(server.endpoints[2]->backup());
  CHECK(server.endpoints[0]->label() == "_http._tcp.web.lan (10.0.0.1:81)");
  CHECK(server.endpoints[0]->tls_name() == "web.lan");
  // A target whose address is not known at the moment stays where it was, and a new one waits for its own.
  CHECK(server.apply(records({{"b.lan", 83, 20, 7, {}}, {"d.lan", 85, 30, 1, {}}})) == "-a.lan:81 -a.lan:82 ");
  CHECK(server.places() == "- - [fd00::1]:83|10.0.0.3:83 ");
  CHECK_FALSE(server.endpoints[2]->backup());
  CHECK(server.apply(records({{"b.lan", 83, 20, 7, {"10.0.0.3"}}})) == "");
  CHECK(server.places() == "- - 10.0.0.3:83 ");
}

TEST_CASE("srv: weights are the records', but for a server that is to have none") {
  for (const auto& [weight, highest, expected] :
       {std::tuple(0, 0, 1), std::tuple(1, 1, 1), std::tuple(256, 256, 256), std::tuple(0, 256, 1),
        std::tuple(257, 257, 256), std::tuple(65535, 65535, 256), std::tuple(32768, 65535, 128),
        std::tuple(1, 65535, 1)}) {
    CAPTURE(weight, highest);
    CHECK(weight_of_record(static_cast<uint16_t>(weight), static_cast<uint16_t>(highest)) ==
          static_cast<uint32_t>(expected));
  }
  Server drained(Resolve::srv, 1, 0);
  drained.apply(records({{"a.lan", 81, 10, 60, {"10.0.0.1"}}}));
  CHECK(drained.endpoints[0]->weight() == 0);
  Server spare(Resolve::srv, 1, 1, true);
  spare.apply(records({{"a.lan", 81, 10, 60, {"10.0.0.1"}}}));
  CHECK(spare.endpoints[0]->backup());
}

}  // namespace sallyport
