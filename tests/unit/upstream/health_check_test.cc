// One check against a server of a socket: what is sent, what is told, how it ends.
#include "upstream/health_check.h"

#include <atomic>
#include <functional>
#include <thread>

#include "holding.h"
#include "transport/io_world.h"

namespace sallyport {
namespace {

using namespace test;
using namespace std::chrono_literals;
using namespace std::literals;
using Type = config::Health::Type;

// Serves one connection on a thread: says the answer when `wanted` has arrived, and keeps all it was sent.
class OneServer {
 public:
  OneServer(std::string wanted, std::string answer, SSL_CTX* tls = nullptr)
      : listener_(std::move(*listen_on(*Address::parse_ip("127.0.0.1", 0), {}))),
        address_(local_address(listener_.get())),
        thread_([this, wanted = std::move(wanted), answer = std::move(answer), tls] { serve(wanted, answer, tls); }) {}
  ~OneServer() { thread_.join(); }
  const Address& address() const { return address_; }
  // Once the client is gone.
  const std::string& heard() {
    REQUIRE(eventually([&] { return done_.load(); }));
    return heard_;
  }
  bool clean() {  // the client ended in good order
    heard();
    return clean_;
  }

 private:
  void serve(const std::string& wanted, const std::string& answer, SSL_CTX* tls) {
    if (becomes_readable(listener_.get())) {
      auto accepted = accept_from(listener_.get());
      UniqueFd fd = accepted ? std::move(accepted->fd) : UniqueFd();
      SslPtr ssl;
      if (tls != nullptr) {
        ssl.reset(SSL_new(tls));
        SSL_set_fd(ssl.get(), fd.get());
        SSL_set_accept_state(ssl.get());
      }
      bool said = false;
      for (auto end = std::chrono::steady_clock::now() + kPatience; std::chrono::steady_clock::now() < end;) {
        if (!said && heard_.find(wanted) != std::string::npos) {
          said = true;
          if (ssl)
            SSL_write(ssl.get(), answer.data(), static_cast<int>(answer.size()));
          else
            send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
        }
        char buffer[4096];
        const auto count = ssl ? SSL_read(ssl.get(), buffer, sizeof buffer) : recv(fd.get(), buffer, sizeof buffer, 0);
        if (count > 0) {
          heard_.append(buffer, static_cast<size_t>(count));
          continue;
        }
        const bool again = ssl ? SSL_get_error(ssl.get(), static_cast<int>(count)) == SSL_ERROR_WANT_READ
                               : count < 0 && errno == EAGAIN;
        if (!again) {
          clean_ = ssl ? (SSL_get_shutdown(ssl.get()) & SSL_RECEIVED_SHUTDOWN) != 0 : count == 0;
          break;
        }
        pollfd ready{fd.get(), POLLIN, 0};
        ::poll(&ready, 1, 100);
      }
    }
    done_ = true;
  }

  UniqueFd listener_;
  Address address_;
  std::string heard_;
  bool clean_ = false;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

struct Checks final : IoWorld, HealthCheck::Owner {
  HealthCheck::Outcome check(const Address& address) {
    config::Server server;
    server.text = address.text();
    server.host = "server.lan";
    auto endpoint = std::make_shared<Endpoint>(server, 80);
    if (!address.empty()) endpoint->set_address(address);
    upstream.service = "test";
    auto plan = std::make_shared<const HealthPlan>(upstream);
    running = std::make_unique<HealthCheck>(io, *this, plan, endpoint);
    told.reset();
    if (auto outcome = running->start()) return *outcome;
    turns([this] { return told.has_value(); });
    REQUIRE(told);
    return *told;
  }
  // Turns with deadlines, which wait() does not have.
  template <typename Condition>
  void turns(Condition condition) {
    struct Look final : Deadline::Owner {
      void on_deadline(Deadline&) override {
        if (done() || std::chrono::steady_clock::now() > end) return loop.stop();
        loop.arm(deadline, 20ms);
      }
      Look(Loop& the_loop, std::function<bool()> is_done) : loop(the_loop), done(std::move(is_done)) {}
      Loop& loop;
      std::function<bool()> done;
      std::chrono::steady_clock::time_point end = std::chrono::steady_clock::now() + kPatience;
      Deadline deadline{*this};
    } look(loop, condition);
    loop.arm(look.deadline, 1ms);
    if (!condition()) loop.run();
  }
  void on_checked(HealthCheck::Outcome outcome) override {
    CHECK_FALSE(told);
    told = std::move(outcome);
  }
  Upstream upstream;
  std::unique_ptr<HealthCheck> running;
  std::optional<HealthCheck::Outcome> told;
};

Address refusing_address() {
  static UniqueFd held(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Address any_port = *Address::parse_ip("127.0.0.1", 0);
  if (local_address(held.get()).port() == 0) REQUIRE(bind(held.get(), any_port.sa(), any_port.length()) == 0);
  return local_address(held.get());
}

constexpr char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

}  // namespace

TEST_CASE("health check: no address, nobody there") {
  Checks checks;
  checks.upstream.health.type = Type::tcp;
  const auto unresolved = checks.check({});
  CHECK_FALSE(unresolved.passed);
  CHECK_FALSE(unresolved.connected);
  CHECK(unresolved.reason == "the name does not resolve");
  const auto refused = checks.check(refusing_address());
  CHECK_FALSE(refused.passed);
  CHECK_FALSE(refused.connected);
  CHECK(refused.reason == "connect: Connection refused");
}

TEST_CASE("health check: tcp connects and leaves in good order") {
  Checks checks;
  checks.upstream.health.type = Type::tcp;
  OneServer server("", "hello, here I am\r\n");
  const auto outcome = checks.check(server.address());
  CHECK(outcome.passed);
  CHECK(outcome.connected);
  CHECK(server.heard().empty());
  CHECK(server.clean());
}

TEST_CASE("health check: http over plain TCP, on the port of the check") {
  Checks checks;
  checks.upstream.health.type = Type::http;
  checks.upstream.health.path = "/up";
  OneServer server("\r\n\r\n", kOk);
  checks.upstream.health.port = server.address().port();
  const auto outcome = checks.check(*Address::parse_ip("127.0.0.1", 1));
  CHECK(outcome.reason.empty());
  CHECK(outcome.passed);
  checks.wait(50);
  CHECK_THAT(server.heard(), holding("GET /up HTTP/1.1\r\nHost: server.lan\r\n"));
  CHECK(server.clean());
}

TEST_CASE("health check: the PROXY header goes first, and is named when the answer is odd") {
  for (auto version : {config::ProxyProtocol::v1, config::ProxyProtocol::v2}) {
    Checks checks;
    checks.upstream.health.type = Type::http;
    checks.upstream.proxy_protocol = version;
    const bool first = version == config::ProxyProtocol::v1;
    {
      OneServer server("\r\n\r\nGET", "");
      checks.upstream.health.timeout = 300ms;
      const auto outcome = checks.check(server.address());
      CHECK(outcome.reason == std::string("no answer within 0.3 s (after a PROXY ") + (first ? "v1" : "v2") +
                                  " header: does this server expect one?)");
      checks.running.reset();
      CHECK(server.heard().substr(0, 12) == (first ? "PROXY UNKNOW" : "\r\n\r\n\0\r\nQUIT\n"sv));
    }
    {
      OneServer server("GET", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
      CHECK_THAT(checks.check(server.address()).reason, holding("status 400, expected 200-399 (after a PROXY v"));
    }
    {
      OneServer server("GET", "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
      CHECK(checks.check(server.address()).reason == "status 503, expected 200-399");
    }
    {
      OneServer server("GET", kOk);
      CHECK(checks.check(server.address()).passed);
    }
  }
}

TEST_CASE("health check: https, with and without a name that fits") {
  TlsWorld& world = tls_world();
  Checks checks;
  auto& upstream = checks.upstream;
  upstream.health.type = Type::https;
  upstream.side = {config::Mode::reencrypt, true};
  upstream.health_tls = world.client;
  upstream.health.verify = config::Verify::required;
  upstream.health.host = "a.example.tld";
  {
    OneServer server("\r\n\r\n", kOk, world.server.get());
    const auto outcome = checks.check(server.address());
    CHECK(outcome.reason.empty());
    CHECK(outcome.passed);
    checks.wait(50);
    CHECK_THAT(server.heard(), holding("Host: a.example.tld\r\n"));
    CHECK(server.clean());
  }
  {
    upstream.tls_name = "b.example.tld";  // server_tls.name: what traffic verifies
    OneServer server("\r\n\r\n", kOk, world.server.get());
    CHECK_THAT(checks.check(server.address()).reason, holding("certificate verify failed: hostname mismatch"));
  }
  {
    upstream.health.verify = config::Verify::none;
    upstream.health_tls = *make_upstream_context({"", false, nullptr, {}});
    OneServer server("\r\n\r\n", kOk, world.server.get());
    CHECK(checks.check(server.address()).passed);
  }
  {
    upstream.health.type = Type::tls;
    OneServer server("never", "", world.server.get());
    CHECK(checks.check(server.address()).passed);
    checks.wait(50);
    CHECK(server.clean());
  }
}

TEST_CASE("health check: TLS where there is none, and none where there is TLS") {
  Checks checks;
  checks.upstream.health.type = Type::https;
  checks.upstream.health_tls = *make_upstream_context({"", false, nullptr, {}});
  checks.upstream.side = {config::Mode::reencrypt, true};
  {
    OneServer server("\x16", "HTTP/1.1 400 Bad Request\r\n\r\n");
    CHECK(checks.check(server.address()).reason == "this server does not speak TLS: use mode edge");
  }
  {
    OneServer server("\x16", "SSH-2.0-OpenSSH_9.2\r\n");
    CHECK(checks.check(server.address()).reason == "this server does not speak TLS: use mode edge");
  }
  checks.upstream.health.type = Type::http;
  checks.upstream.health_tls = nullptr;
  checks.upstream.side = {config::Mode::edge, false};
  OneServer server("GET", "\x15\x03\x01\0\x02\x02\x46"s);
  CHECK(checks.check(server.address()).reason == "this server speaks TLS: use mode reencrypt");
}

TEST_CASE("health check: silence, and half an answer") {
  Checks checks;
  checks.upstream.health.timeout = 200ms;
  checks.upstream.health.type = Type::ssh;
  {
    OneServer server("never", "");
    CHECK(checks.check(server.address()).reason == "no answer within 0.2 s");
  }
  {
    OneServer server("", "SSH-2.0-slow");
    CHECK(checks.check(server.address()).reason == "no whole answer within 0.2 s, only \"SSH-2.0-slow\"");
  }
  checks.upstream.health.type = Type::tls;
  checks.upstream.health_tls = *make_upstream_context({"", false, nullptr, {}});
  OneServer server("never", "");
  CHECK(checks.check(server.address()).reason == "no end of the TLS handshake within 0.2 s");
}

}  // namespace sallyport
