// Each check of `doctor`, from the facts it is given.
#include "cli/doctor/doctor.h"

#include "catch.h"
#include "cli/doctor/certificates.h"
#include "cli/doctor/configuration.h"
#include "cli/doctor/host_names.h"
#include "cli/doctor/machine.h"
#include "cli/doctor/network.h"
#include "cli/doctor/ports.h"
#include "config/load.h"
#include "config/values.h"
#include "test_certificates.h"

namespace sallyport {
namespace {

using test::make_certificate;

Grade worst(const Findings& findings) {
  Grade out = Grade::ok;
  for (const Finding& one : findings) out = std::max(out, one.grade);
  return out;
}

std::string texts(const Findings& findings) {
  std::string out;
  for (const Finding& one : findings) out += one.text + " | " + one.advice + "\n";
  return out;
}

bool holds(const Findings& findings, const std::string& text) {
  return texts(findings).find(text) != std::string::npos;
}

config::Listener listener(const char* name, std::initializer_list<const char*> binds) {
  config::Listener out;
  out.name = name;
  for (const char* text : binds) out.binds.push_back(*config::parse_bind(text));
  return out;
}

Address ip(const char* text) { return *Address::parse_ip(text, 0); }

Error failure(const char* what) { return Error{Kind::unavailable, Side::upstream, Retry::no, 0, what, {}}; }

class Folder {
 public:
  Folder& file(const std::string& name, const std::string& text) {
    folder_.write(name, text);
    return *this;
  }
  Folder& certificate(const std::string& file, const std::string& sans, long from_days, long to_days) {
    const test::Made made = make_certificate({.sans = sans, .from_days = from_days, .to_days = to_days});
    return this->file(file, test::pem(made.certificate) + test::pem(made.key));
  }
  std::shared_ptr<const Snapshot> build() const {
    return build_snapshot(config::load(folder_.path()), std::make_shared<TicketKeys>());
  }

 private:
  test::TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("doctor: who listens, as /proc tells it") {
  const auto v4 = parse_proc_tcp(
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100 0 0 10 "
      "0\n"
      "   1: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4243 1 0 100 0 0 10 "
      "0\n"
      "   2: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 4244 1 0 20 4 30 10 "
      "-1\n"
      "   3: rubbish\n   4: XX00007F:1F90 00000000:0000 0A 0 0 0 0 0 4245 1\n",
      false);
  REQUIRE(v4.size() == 2);
  CHECK(v4[0].address.text() == "127.0.0.1:8080");
  CHECK(v4[0].inode == 4242);
  CHECK(v4[1].address.text() == "0.0.0.0:443");
  const auto v6 = parse_proc_tcp(
      "  sl  local_address                         remote_address                        st\n"
      "   0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 77 1\n",
      true);
  REQUIRE(v6.size() == 1);
  CHECK(v6[0].address.text() == "[::1]:22");
  CHECK(parse_proc_tcp("", false).empty());
}

TEST_CASE("doctor: ports") {
  const std::vector<config::Listener> all{listener("https", {":443"}), listener("lan", {"10.0.0.6:8443"})};
  const auto sockets = [](const char* address) { return std::vector<ListeningSocket>{{*Address::parse(address), 1}}; };
  const std::map<uint64_t, SocketOwner> nginx{{1, {812, "nginx"}}};
  const std::map<uint64_t, SocketOwner> own{{1, {900, "sallyport"}}};
  const std::map<uint64_t, SocketOwner> systemd{{1, {1, "systemd"}}};

  CHECK(worst(check_ports(all, {}, {}, {})) == Grade::ok);
  const Findings taken = check_ports(all, sockets("0.0.0.0:443"), nginx, {});
  CHECK(worst(taken) == Grade::problem);
  CHECK(holds(taken, ":443 (listener https) is taken by nginx (pid 812)"));
  CHECK(worst(check_ports(all, sockets("127.0.0.1:443"), nginx, {})) == Grade::problem);  // ":443" wants all addresses
  CHECK(worst(check_ports(all, sockets("10.0.0.7:8443"), nginx, {})) == Grade::ok);       // another address
  CHECK(worst(check_ports(all, sockets("[::]:8443"), nginx, {})) == Grade::problem);      // takes IPv4 as well
  CHECK(worst(check_ports(all, sockets("0.0.0.0:80"), nginx, {})) == Grade::ok);
  CHECK(holds(check_ports(all, sockets("[::]:443"), own, {}), ":443 (listener https) is open"));
  CHECK(worst(check_ports(all, sockets("[::]:443"), own, {true, 900})) == Grade::problem);  // but not on 8443
  CHECK(worst(check_ports(all, sockets("[::]:443"), own, {true, 901})) == Grade::problem);  // another copy
  CHECK(holds(check_ports(all, sockets("[::]:443"), systemd, {}), "is open"));
  CHECK(worst(check_ports(all, sockets("[::]:443"), {}, {})) == Grade::problem);
  CHECK(holds(check_ports(all, sockets("[::]:443"), {}, {true, 0}), "by whom only root may see"));
}

TEST_CASE("doctor: the right to open ports") {
  const std::vector<config::Listener> low{listener("https", {":443"}), listener("http", {":80"})};
  CHECK(worst(check_privileges(low, {true, 1024, false})) == Grade::ok);
  const Findings missing = check_privileges(low, {false, 1024, false});
  CHECK(worst(missing) == Grade::warning);
  CHECK(holds(missing, "this user may not open 80, 443"));
  CHECK(holds(check_privileges(low, {false, 443, true}), "the gateway may not open 80:"));
  CHECK(worst(check_privileges(low, {false, 80, false})) == Grade::ok);
  CHECK(worst(check_privileges({listener("x", {":8443"})}, {false, 1024, false})) == Grade::ok);
  CHECK(effective_capabilities("Name:\tx\nCapEff:\t0000000000000400\nCapBnd:\t0\n") == 0x400);
  CHECK(effective_capabilities("Name:\tx\n") == 0);
}

TEST_CASE("doctor: names") {
  const std::vector<Address> at_home{ip("127.0.0.1"), ip("192.168.1.10"), ip("fe80::1")};
  const std::vector<Address> hosted{ip("127.0.0.1"), ip("203.0.113.7")};
  const auto judged = [](std::vector<Address> found, const std::vector<Address>& own) {
    return check_names({{"cloud.example.tld", std::move(found)}}, own);
  };
  CHECK(worst(judged({ip("192.168.1.10")}, at_home)) == Grade::ok);
  CHECK(worst(judged({ip("127.0.0.1")}, at_home)) == Grade::ok);
  const Findings outside = judged({ip("203.0.113.5")}, at_home);
  CHECK(worst(outside) == Grade::ok);
  CHECK(holds(outside,
              "cloud.example.tld points to 203.0.113.5, which is none of this machine's addresses (192.168.1.10, "
              "fe80::1): fine behind a NAT router"));
  CHECK(worst(judged({ip("203.0.113.5")}, hosted)) == Grade::warning);
  CHECK(worst(judged({ip("192.168.1.11")}, at_home)) == Grade::warning);
  const Findings half = judged({ip("203.0.113.7"), ip("2001:db8::1")}, hosted);
  CHECK(worst(half) == Grade::warning);
  CHECK(holds(half, "forgotten AAAA"));
  CHECK(worst(check_names({{"x.tld", failure("no such name")}}, hosted)) == Grade::warning);
  CHECK(worst(check_names({}, hosted)) == Grade::ok);

  config::Service service;
  service.hosts = {"a.tld", "*.b.tld", "*", "192.0.2.1", "[2001:db8::1]", "a.tld"};
  CHECK(names_of_clients({service, service}) == std::vector<std::string>{"a.tld"});
}

TEST_CASE("doctor: certificates") {
  const char* web = "mode: edge\nhosts: [a.tld]\nservers: [\"10.0.0.1:80\"]\n";
  const auto now = std::chrono::system_clock::now();
  const auto judged = [&](long from, long to, const char* sans = "DNS:a.tld") {
    return check_certificates(*Folder().certificate("certs/a.pem", sans, from, to).file("conf.d/a.yaml", web).build(),
                              now);
  };
  CHECK(worst(judged(-1, 90)) == Grade::ok);
  CHECK(worst(judged(-1, 20)) == Grade::warning);
  CHECK(holds(judged(-1, 20), "a.pem ends in 19 days"));
  CHECK(holds(judged(-20, -2), "a.pem expired 2 days ago"));
  CHECK(worst(judged(2, 90)) == Grade::problem);
  CHECK(holds(judged(2, 90), "clock"));
  CHECK(holds(judged(-1, 90, "DNS:b.tld"), "no certificate covers a.tld (service a)"));
  const auto lonely = make_certificate({.sans = "DNS:a.tld"});
  const Findings broken = check_certificates(
      *Folder().file("certs/key.pem", test::pem(lonely.key)).file("conf.d/a.yaml", web).build(), now);
  CHECK(worst(broken) == Grade::problem);
  CHECK(holds(broken, "key.pem"));
}

TEST_CASE("doctor: configuration") {
  const auto good =
      Folder().file("conf.d/a.yaml", "mode: http\nservers: [\"10.0.0.1:80\"]\n").file("certs/x", "").build();
  CHECK(texts(check_configuration(*good)) == "1 service, no fault | \n");
  const auto bad =
      Folder().file("conf.d/a.yaml", "mode: htpp\nservers: [\"10.0.0.1:80\"]\n").file("certs/x", "").build();
  CHECK(worst(check_configuration(*bad)) == Grade::problem);
  CHECK(holds(check_configuration(*bad), "conf.d/a.yaml:1:7: unknown mode"));

  CHECK(check_differences("").empty());
  CHECK(check_differences("{\"error\":\"no\"}").empty());
  CHECK(worst(check_differences("{\"result\":\"ok\",\"added\":[],\"changed\":[]}")) == Grade::ok);
  const Findings differs = check_differences("{\"result\":\"ok\",\"added\":[\"wiki\"],\"removed\":[\"a\",\"b\"]}");
  CHECK(worst(differs) == Grade::warning);
  CHECK(holds(differs, "added: wiki; removed: a, b"));
}

TEST_CASE("doctor: the machine") {
  using std::chrono::system_clock;
  const auto now = system_clock::from_time_t(1'764'400'000);
  CHECK(worst(check_descriptors(131'072, 0, true)) == Grade::ok);
  CHECK(worst(check_descriptors(UINT64_MAX, 1'000'000, true)) == Grade::ok);
  CHECK(worst(check_descriptors(1'024, 0, true)) == Grade::warning);
  CHECK(worst(check_descriptors(1'024, 5'000, true)) == Grade::problem);
  CHECK(holds(check_descriptors(1'024, 5'000, true), "LimitNOFILE=10320"));

  CHECK(worst(check_clock(true, now)) == Grade::ok);
  CHECK(worst(check_clock(false, now)) == Grade::warning);
  CHECK(worst(check_clock(std::nullopt, now)) == Grade::ok);
  CHECK(worst(check_clock(true, system_clock::from_time_t(86'400))) == Grade::problem);

  const uint64_t gib = 1ULL << 30;
  CHECK(worst(check_state_folder("/s", {true, true, true, gib, false})) == Grade::ok);
  CHECK(worst(check_state_folder("/s", {true, true, false, gib, false})) == Grade::warning);
  CHECK(worst(check_state_folder("/s", {true, true, false, gib, true})) == Grade::ok);
  CHECK(worst(check_state_folder("/s", {true, false, true, gib, false})) == Grade::problem);
  CHECK(worst(check_state_folder("/s", {true, true, true, 1 << 20, false})) == Grade::problem);
  CHECK(worst(check_state_folder("/s", {false, false, true, 100 << 20, false})) == Grade::warning);

  CHECK(worst(check_watches(65'536, 128, 10)) == Grade::ok);
  CHECK(worst(check_watches(8'192, 128, 9'000)) == Grade::problem);
  CHECK(worst(check_watches(8'192, 128, 5'000)) == Grade::warning);
  CHECK(worst(check_watches(65'536, 1, 10)) == Grade::warning);

  CHECK(worst(check_clients(false, false, "10.88.0.1")) == Grade::warning);
  CHECK(worst(check_clients(false, true, "10.88.0.1")) == Grade::ok);
  CHECK(worst(check_clients(true, false, "")) == Grade::ok);
  CHECK(holds(check_clients(true, false, ""), "rootless podman"));

  test::TemporaryFolder folder;
  folder.write("a/b/c", "");
  CHECK(folders_below(folder.path()) == 3);
  CHECK(folders_below(folder.path() / "none") == 0);
  CHECK(look_at_folder(folder.path() / "new").writable);
  CHECK(look_at_folder(folder.path() / "a/b/c").is_folder == false);
}

TEST_CASE("doctor: servers") {
  const auto server = [](const char* service, const char* address, bool passed, const char* reason, bool connected) {
    return ProbedServer{service, address, false, true, {passed, reason, connected, 1}};
  };
  CHECK(worst(check_servers({server("a", "x:1", true, "", true)})) == Grade::ok);
  const Findings half =
      check_servers({server("a", "x:1", true, "", true), server("a", "y:1", false, "refused", false)});
  CHECK(worst(half) == Grade::warning);
  CHECK(holds(half, "y:1 (service a): refused | is it running, and does a firewall stand between?"));
  CHECK(holds(half, "1 of 2 answer"));
  CHECK(worst(check_servers({server("a", "y:1", false, "this server speaks TLS: use mode reencrypt", true)})) ==
        Grade::problem);
  ProbedServer unasked{"a", "z:1", false, false, {}};
  CHECK(worst(check_servers({unasked})) == Grade::warning);
  CHECK(worst(check_servers({})) == Grade::ok);
}

TEST_CASE("doctor: how each kind of server is asked") {
  using Type = config::Health::Type;
  const auto snapshot =
      Folder()
          .file("certs/x", "")
          .file("conf.d/a.yaml", "mode: passthrough\nhosts: [a.tld]\nservers: [\"10.0.0.1:1\"]\n")
          .file("conf.d/b.yaml", "mode: http\nhosts: [b.tld]\nservers: [\"10.0.0.1:1\"]\n")
          .file("conf.d/c.yaml",
                "mode: reencrypt\nhosts: [c.tld]\nservers: [\"10.0.0.1:1\"]\nserver_tls: { verify: none }\n")
          .file("conf.d/d.yaml", "mode: ssh\nservers: [\"10.0.0.1:1\"]\n")
          .file("conf.d/e.yaml", "mode: tcp\nlisten: \":5432\"\nservers: [\"10.0.0.1:1\"]\nhealth: postgres\n")
          .file("conf.d/f.yaml", "mode: tcp\nlisten: \":5433\"\nservers: [\"10.0.0.1:1\"]\n")
          .file("conf.d/g.yaml", "mode: http\nhosts: [g.tld]\nserver_protocol: h2\nservers: [\"10.0.0.1:1\"]\n")
          .build();
  const std::vector<std::pair<Type, bool>> expected{{Type::tls, true},  {Type::http, false},     {Type::tls, true},
                                                    {Type::ssh, false}, {Type::postgres, false}, {Type::tcp, false},
                                                    {Type::tcp, false}};
  REQUIRE(snapshot->services.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(i);
    const auto plan = probe_plan(*snapshot->services[i], std::chrono::seconds(1));
    CHECK(plan->rules.type == expected[i].first);
    CHECK((plan->tls != nullptr) == expected[i].second);
    CHECK(plan->rules.timeout <= std::chrono::seconds(1));
  }
}

TEST_CASE("doctor: for people and for scripts") {
  const Findings findings{{Grade::ok, "clock", "synchronised", ""}, {Grade::problem, "ports", "taken", "stop it"}};
  CHECK(findings_text(findings).find("problem  ports         taken\n") != std::string::npos);
  CHECK(findings_text(findings).find("-> stop it\n") != std::string::npos);
  CHECK(findings_text(findings).find("1 problem, 0 warnings") != std::string::npos);
  CHECK(findings_json(findings).find("\"problems\": 1") != std::string::npos);
}

}  // namespace sallyport
