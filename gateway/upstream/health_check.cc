#include "upstream/health_check.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/format.h"
#include "base/host.h"
#include "net/proxy_header.h"
#include "net/socket.h"
#include "transport/crypto.h"

namespace sallyport {
namespace {

constexpr std::chrono::milliseconds kClosing{1'000};
constexpr size_t kMostDropped = 256 * 1024;

std::string duration_text(std::chrono::milliseconds time) {
  return format("{:g} s", static_cast<double>(time.count()) / 1000);
}

std::string bracketed(std::string host) { return host.find(':') == std::string::npos ? host : "[" + host + "]"; }

}  // namespace

HealthPlan::HealthPlan(const Upstream& upstream)
    : service(upstream.service),
      rules(upstream.health),
      side(upstream.side),
      proxy_protocol(upstream.proxy_protocol),
      tls(upstream.health_tls),
      tls_name(upstream.tls_name) {}

HealthCheck::HealthCheck(IoContext& io, Owner& owner, std::shared_ptr<const HealthPlan> plan,
                         std::shared_ptr<Endpoint> endpoint)
    : io_(io), owner_(owner), plan_(std::move(plan)), endpoint_(std::move(endpoint)) {}

// What is verified is what traffic verifies; where nothing is, the name only says which site is meant.
std::string HealthCheck::name() const {
  const bool verify = plan_->rules.verify == config::Verify::required;
  const std::string& first = verify ? plan_->tls_name : plan_->rules.host;
  const std::string& second = verify ? plan_->rules.host : plan_->tls_name;
  if (!first.empty()) return first;
  if (!second.empty()) return second;
  if (!endpoint_->tls_name().empty()) return endpoint_->tls_name();
  return address_.is_ip() ? address_.ip_text() : std::string();
}

std::string HealthCheck::host() const {
  if (!plan_->rules.host.empty()) return bracketed(plan_->rules.host);
  if (!endpoint_->tls_name().empty()) return endpoint_->tls_name();
  return address_.is_ip() ? bracketed(address_.ip_text()) : "localhost";
}

std::optional<HealthCheck::Outcome> HealthCheck::start() {
  started_us_ = Loop::precise_now();
  const Endpoint::Addresses addresses = endpoint_->addresses();
  const auto on_port = [this](const Address& address) {
    return plan_->rules.port != 0 && address.is_ip() ? address.with_port(plan_->rules.port) : address;
  };
  address_ = on_port(addresses.first);
  other_ = on_port(addresses.second);
  if (address_.empty()) return finish(false, "the name does not resolve");
  bare_ = plan_->rules.port == 0 && !ServerSlot::take(endpoint_, slot_);
  return connect();
}

// Of what `timeout` allows for the whole check.
std::chrono::milliseconds HealthCheck::time_left() const noexcept {
  const std::chrono::milliseconds used((Loop::precise_now() - started_us_) / 1000);
  return std::max(plan_->rules.timeout - used, std::chrono::milliseconds(1));
}

std::optional<HealthCheck::Outcome> HealthCheck::connect() {
  phase_ = Phase::connecting;
  auto connecting = connect_to(address_);
  if (!connecting) return not_connected(connecting.error().text());
  auto transport = Transport::make(io_, std::move(connecting->fd), !connecting->in_progress);
  if (!transport) return finish(false, transport.error().text());
  transport_ = std::move(*transport);
  transport_->set_handler(this);
  io_.loop.arm(deadline_, other_.empty() ? time_left() : time_left() / 2);
  if (connecting->in_progress) return std::nullopt;
  return advance();
}

// A server with an address of each family may be reachable at one of them only, as traffic will find too.
std::optional<HealthCheck::Outcome> HealthCheck::not_connected(std::string reason) {
  transport_.reset();
  if (other_.empty()) return finish(false, std::move(reason));
  address_ = std::exchange(other_, {});
  return connect();
}

std::optional<HealthCheck::Outcome> HealthCheck::advance() {
  switch (phase_) {
    case Phase::connecting:
      if (!transport_->writable() && !transport_->hangup()) return std::nullopt;
      if (transport_->hangup())
        if (int error = socket_error(transport_->fd()); error != 0)
          return not_connected(Error::from_errno(error, Side::upstream, Retry::no, "connect").text());
      return connected();
    case Phase::handshake: return shake_hands();
    case Phase::talking: return talk(HealthDialog::Verdict::need_more);
    case Phase::closing: break;
  }
  return std::nullopt;
}

std::optional<HealthCheck::Outcome> HealthCheck::connected() {
  if (bare_) return finish(true, {});
  io_.loop.arm(deadline_, time_left());
  std::string header;
  if (plan_->proxy_protocol == config::ProxyProtocol::v1) append_proxy_v1(header, {}, {});
  if (plan_->proxy_protocol == config::ProxyProtocol::v2) append_proxy_v2_local(header);
  transport_->write(as_bytes(header));
  const bool tls = plan_->tls != nullptr;
  // Without it a login only loses its protection against being replayed.
  std::array<uint8_t, 18> nonce{};
  random_bytes(nonce.data(), nonce.size());
  const HealthQuestion question{
      plan_->rules, host(), base64(nonce),
      tls ? std::string_view() : advice(ProtocolHint::speaks_tls, plan_->side, false, plan_->rules.type)};
  dialog_ = make_health_dialog(question);
  phase_ = tls ? Phase::handshake : Phase::talking;
  if (!tls) return talk(dialog_->start());
  const bool verify = plan_->rules.verify == config::Verify::required;
  if (auto begun = transport_->connect_tls(*plan_->tls, name(), verify, sessions_, address_.text()); !begun)
    return finish(false, begun.error().text());
  return shake_hands();
}

std::optional<HealthCheck::Outcome> HealthCheck::shake_hands() {
  switch (transport_->handshake()) {
    case Transport::Handshake::again: return std::nullopt;
    case Transport::Handshake::failed: {
      const ProtocolHint hint = hint_of_tls_failure(transport_->tls_failure());
      if (hint == ProtocolHint::none) return broken(transport_->error());
      return finish(false, std::string(advice(hint, plan_->side, true, plan_->rules.type)));
    }
    case Transport::Handshake::done: break;
  }
  phase_ = Phase::talking;
  return talk(dialog_->start());
}

std::optional<HealthCheck::Outcome> HealthCheck::talk(HealthDialog::Verdict verdict) {
  for (;;) {
    const std::string said = dialog_->take_output();
    transport_->write(as_bytes(said));
    // A server that refuses may have closed already: what it said before counts, and is read next.
    transport_->flush();
    if (verdict == HealthDialog::Verdict::passed) return finish(true, {});
    if (verdict == HealthDialog::Verdict::failed) return finish(false, dialog_->reason());
    switch (transport_->read()) {
      case Transport::Read::again: return std::nullopt;
      case Transport::Read::data: verdict = dialog_->feed(transport_->bytes()); break;
      case Transport::Read::eof: verdict = dialog_->end(); break;
      case Transport::Read::failed:
        // Many servers end TLS without close_notify; whether that was too early, the dialog knows.
        if (transport_->ssl() == nullptr || transport_->error().kind != Kind::cut) return broken(transport_->error());
        verdict = dialog_->end();
        break;
    }
  }
}

HealthCheck::Outcome HealthCheck::broken(const Error& error) {
  std::string reason = error.text();
  if (dialog_ && !dialog_->unfinished().empty()) reason += " after " + quoted_line(dialog_->unfinished());
  return finish(false, std::move(reason));
}

HealthCheck::Outcome HealthCheck::finish(bool passed, std::string reason) {
  Outcome out{passed, std::move(reason), dialog_ != nullptr, Loop::precise_now() - started_us_};
  if (!passed && dialog_ && !dialog_->understood() && plan_->proxy_protocol != config::ProxyProtocol::off)
    out.reason += format(" (after a PROXY {} header: does this server expect one?)",
                         plan_->proxy_protocol == config::ProxyProtocol::v1 ? "v1" : "v2");
  const bool talked = phase_ == Phase::talking;
  phase_ = Phase::closing;
  deadline_.disarm();
  if (!transport_) {
    slot_.release();
    return out;
  }
  if (talked) {
    transport_->end_write();
    io_.loop.arm(deadline_, kClosing);
    drain();
  } else {
    transport_->flush();  // an alert
    hang_up();
  }
  return out;
}

// Until the server has closed too: what it still has to say would be answered with a reset, which some log as an error.
void HealthCheck::drain() {
  bool open = transport_->flush();
  while (open) {
    switch (transport_->read()) {
      case Transport::Read::again: return;
      case Transport::Read::data:
        dropped_ += transport_->bytes().size();
        open = dropped_ < kMostDropped;
        break;
      case Transport::Read::eof:
      case Transport::Read::failed: open = false; break;
    }
  }
  deadline_.disarm();
  hang_up();
}

void HealthCheck::hang_up() {
  transport_.reset();
  slot_.release();
}

void HealthCheck::on_io() {
  if (phase_ == Phase::closing) return drain();
  if (auto outcome = advance()) owner_.on_checked(std::move(*outcome));
}

void HealthCheck::on_deadline(Deadline&) {
  if (phase_ == Phase::closing) {
    hang_up();
    return;
  }
  if (phase_ == Phase::connecting && !other_.empty()) {
    if (auto outcome = not_connected({})) owner_.on_checked(std::move(*outcome));
    return;
  }
  const std::string limit = duration_text(plan_->rules.timeout);
  std::string reason;
  if (phase_ == Phase::connecting)
    reason = format("no connection within {}", limit);
  else if (phase_ == Phase::handshake)
    reason = format("no end of the TLS handshake within {}", limit);
  else if (dialog_->unfinished().empty())
    reason = format("no answer within {}", limit);
  else
    reason = format("no whole answer within {}, only {}", limit, quoted_line(dialog_->unfinished()));
  owner_.on_checked(finish(false, std::move(reason)));
}

}  // namespace sallyport
