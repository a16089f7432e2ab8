#include "runtime/session.h"

#include <algorithm>

#include "layers/registry.h"
#include "layers/rules.h"
#include "net/proxy_header.h"
#include "runtime/worker.h"

namespace sallyport {
namespace {

constexpr config::Milliseconds kSilence{2'000};
constexpr config::Milliseconds kLinger{2'000};
constexpr config::Milliseconds kLastWord{500};
constexpr uint32_t kMostDiscarded = 1024 * 1024;
constexpr uint8_t kProxyV2[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

bool looks_like_proxy_header(Bytes seen) noexcept {
  if (as_text(seen).starts_with("PROXY ")) return true;
  return seen.size() >= sizeof kProxyV2 && std::equal(std::begin(kProxyV2), std::end(kProxyV2), seen.begin());
}

// Keeps a flow until the end of the turn: it may be the one that asked to be replaced.
struct BuriedFlow final : Doomed {
  explicit BuriedFlow(std::unique_ptr<Flow> the_flow) noexcept : flow(std::move(the_flow)) {}
  std::unique_ptr<Flow> flow;
};

}  // namespace

Session::Session(Worker& owner, SnapshotView& view, const ListenerRules& rules, TransportPtr client,
                 const Address& peer_address, std::atomic<uint32_t>* listener_count, uint64_t id)
    : owner_(owner), view_(&view), listener_count_(listener_count), id_(id), deadline_(*this) {
  ++view_->sessions;
  transport = std::move(client);
  worker = &owner.context();
  listener = &rules;
  peer = peer_address;
  listener_connections = listener_count;
  accepted_us = worker->io.loop.turn_began_us();
  worker->counters.connections.add();
  worker->counters.open_sessions.add();
  listener_counters().connections.add();
  listener_counters().open.add();
}

Session::~Session() = default;

bool Session::trusted_proxy() const noexcept {
  const auto& trusted = listener->config.accept_proxy;
  return std::any_of(trusted.begin(), trusted.end(), [&](const Network& network) { return network.contains(peer); });
}

void Session::start() {
  transport->set_handler(this);
  bool proxied = !listener->config.accept_proxy.empty() && trusted_proxy();
  if (!proxied)
    if (auto flow = open_immediate_flow(*this)) {
      run(std::move(flow));
      return;
    }
  state_ = proxied ? State::proxy_header : State::sniffing;
  silent_ = !proxied && listener->ssh != nullptr;
  owner_.loop().arm(deadline_, silent_ ? kSilence : listener->timeouts.handshake);
  read_first_bytes();
}

void Session::on_io() {
  if (state_ == State::lingering) {
    linger();
  } else {
    read_first_bytes();
  }
}

void Session::read_first_bytes() {
  for (;;) {
    switch (transport->read()) {
      case Transport::Read::again: return;
      case Transport::Read::failed: end(); return;
      case Transport::Read::eof:
        if (seen_.empty()) {
          end();  // came and went: health checks and port scans do
          return;
        }
        if (state_ == State::proxy_header) {
          turn_away(Rejection::bad_proxy_header, End::client_closed, "closed within the PROXY header");
          return;
        }
        sniff_bytes(as_bytes(seen_), true);
        return;
      case Transport::Read::data: {
        Bytes seen = transport->bytes();
        if (!seen_.empty()) {
          seen_.append(as_text(seen));
          seen = as_bytes(seen_);
        }
        if (silent_) {
          silent_ = false;
          owner_.loop().arm(deadline_, listener->timeouts.handshake);
        }
        if (state_ == State::proxy_header && !read_proxy_header(seen)) {
          if (state_ == State::proxy_header) break;
          return;
        }
        if (seen.empty()) {
          seen_.clear();
          break;
        }
        sniff_bytes(seen, false);
        if (state_ != State::sniffing) return;
        break;
      }
    }
  }
}

// What was kept before stays where it is: a hello that comes byte by byte must not be copied whole each time.
void Session::keep(Bytes seen) {
  const auto* own = reinterpret_cast<const uint8_t*>(seen_.data());
  if (seen_.empty() || seen.data() < own || seen.data() > own + seen_.size()) {
    seen_.assign(as_text(seen));
  } else {
    seen_.erase(0, static_cast<size_t>(seen.data() - own));
  }
}

bool Session::read_proxy_header(Bytes& seen) {
  ProxyHeader header;
  size_t consumed = 0;
  const char* why = "";
  switch (parse_proxy_header(seen, header, consumed, &why)) {
    case ProxyParse::need_more: keep(seen); return false;
    case ProxyParse::malformed: turn_away(Rejection::bad_proxy_header, End::bad_request, why); return false;
    case ProxyParse::done: break;
  }
  if (!header.local) {
    if (!header.source.empty()) peer = header.source.unmapped();
    if (!header.destination.empty()) set_local(header.destination.unmapped());
  }
  seen = seen.subspan(consumed);
  state_ = State::sniffing;
  if (listener->immediate != nullptr) {
    transport->unread(seen);
    run(open_immediate_flow(*this));
    return false;
  }
  if (listener->ssh != nullptr && seen.empty()) {
    silent_ = true;
    owner_.loop().arm(deadline_, kSilence);
  }
  return true;
}

void Session::sniff_bytes(Bytes seen, bool at_end) {
  if (!listener->config.accept_proxy.empty() && !trusted_proxy() && looks_like_proxy_header(seen)) {
    turn_away(Rejection::untrusted_proxy, End::denied, "a PROXY header from a peer that is not in accept_proxy");
    return;
  }
  Verdict verdict;
  verdict.protocol = sniff(seen);
  if (verdict.protocol == Sniff::need_more) {
    if (!at_end) {
      keep(seen);
      return;
    }
    verdict.protocol = Sniff::other;
  }
  // A listener without TLS services hands the bytes to its tcp service as they are.
  bool wants_hello = !listener->tls.empty() || listener->tcp == nullptr;
  if (verdict.protocol == Sniff::tls && wants_hello) {
    const char* why = "";
    switch (parse_client_hello(seen, verdict.hello, &why, &hello_progress_)) {
      case HelloParse::done: break;
      case HelloParse::need_more:
        if (!at_end) {
          keep(seen);
          return;
        }
        why = "closed within the ClientHello";
        [[fallthrough]];
      case HelloParse::malformed:
      case HelloParse::too_large:
        // decode_error, RFC 8446 section 6.2
        transport->write(std::array<uint8_t, 7>{0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x32});
        turn_away(Rejection::bad_hello, End::bad_hello, why);
        return;
    }
  }
  count_sniffed(verdict.protocol);
  transport->unread(seen);
  std::string().swap(seen_);
  deadline_.disarm();
  state_ = State::flowing;
  if (auto flow = open_flow(*this, verdict)) {
    run(std::move(flow));
  } else if (state_ == State::flowing) {
    end_lingering();
  }
}

void Session::run(std::unique_ptr<Flow> flow) {
  deadline_.disarm();
  state_ = State::flowing;
  flow_ = std::move(flow);
  flow_->start();
  if (state_ == State::flowing && view_->retired) follow(*owner_.view());
}

void Session::become(std::unique_ptr<Flow> next) {
  owner_.loop().bury(std::make_unique<BuriedFlow>(std::move(flow_)));
  run(std::move(next));
}

void Session::follow(SnapshotView& newest) {
  if (state_ == State::ended || state_ == State::lingering || view_ == &newest) return;
  if (flow_ && !flow_->may_follow()) return;
  const ListenerRules* rules = newest.rules(listener->name);
  if (rules == nullptr) {
    left_behind_ = true;
    owner_.left_behind(*view_);
    drain();
    return;
  }
  --view_->sessions;
  ++newest.sessions;
  view_ = &newest;
  listener_counters().open.subtract();  // a listener that went and came back has counters of its own
  listener = rules;
  listener_counters().open.add();
  left_behind_ = false;
  if (flow_) flow_->followed();
}

void Session::end_what_is_gone(uint64_t since_ms) {
  if (left_behind_ && owner_.loop().now() - view_->retired_ms >= since_ms) {
    abort(End::drain);
  } else if (state_ == State::flowing && flow_) {
    flow_->end_what_is_gone(since_ms);
  }
}

void Session::count_sniffed(Sniff protocol) {
  worker->counters.sniffed[static_cast<size_t>(protocol)].add();
  listener_counters().sniffed[static_cast<size_t>(protocol)].add();
}

void Session::turn_away(Rejection reason, End how, std::string_view why) {
  reject(reason);
  log_turned_away(*this, how, why);
  end_lingering();
}

void Session::on_deadline(Deadline&) {
  if (state_ == State::lingering || (draining() && seen_.empty())) {
    end();
    return;
  }
  if (silent_) {
    silent_ = false;
    if (auto flow = open_silent_flow(*this)) {
      count_sniffed(Sniff::need_more);
      run(std::move(flow));
      return;
    }
  }
  reject(Rejection::timeout);
  log_turned_away(*this, End::client_timeout, seen_.empty() ? "silent" : "first bytes");
  end();
}

void Session::end_lingering() {
  if (state_ == State::ended || state_ == State::lingering) return;
  if (flow_) owner_.loop().bury(std::make_unique<BuriedFlow>(std::move(flow_)));
  state_ = State::lingering;
  transport->set_handler(this);
  transport->end_write();
  owner_.loop().arm(deadline_, kLinger);
  linger();
}

void Session::linger() {
  if (!transport->flush()) {
    end();
    return;
  }
  for (;;) {
    switch (transport->read()) {
      case Transport::Read::again: return;
      case Transport::Read::data:
        discarded_ += static_cast<uint32_t>(transport->bytes().size());
        if (discarded_ < kMostDiscarded) break;
        [[fallthrough]];
      case Transport::Read::eof:
      case Transport::Read::failed: end(); return;
    }
  }
}

void Session::end() {
  if (state_ == State::ended) return;
  state_ = State::ended;
  deadline_.disarm();
  owner_.session_leaves(*this);
  static_cast<ListHook<Session>&>(*this).unlink();
  transport.reset();
  worker->counters.open_sessions.subtract();
  listener_counters().open.subtract();
  if (listener_count_ != nullptr) listener_count_->fetch_sub(1, std::memory_order_relaxed);
  if (flow_) owner_.loop().bury(std::make_unique<BuriedFlow>(std::move(flow_)));
  SnapshotView& view = *view_;
  Worker& owner = owner_;
  owner.loop().bury(std::unique_ptr<Doomed>(this));
  owner.session_ended(view);
}

void Session::drain() {
  if (state_ == State::flowing && flow_) {
    flow_->drain();
  } else if (state_ == State::sniffing && seen_.empty()) {
    // Accepted a moment ago: what the client says first may still be on its way.
    silent_ = false;
    owner_.loop().arm(deadline_, kLastWord);
  }
}

void Session::describe(SessionInfo& info) const {
  info.protocol = "sniffing";
  info.state = "opening";
  if (state_ == State::flowing && flow_) flow_->describe(info);
  if (state_ == State::lingering) {
    info.protocol = "";
    info.state = "closing";
  }
}

void Session::abort(End why) {
  if (why == End::killed) transport->reset_on_close();
  if (state_ == State::flowing && flow_) {
    flow_->abort(why);
    if (why != End::killed || state_ != State::lingering) return;
  }
  end();
}

ServiceUse Session::use(const Service& service) { return owner_.use(service); }

bool Session::draining() const noexcept { return left_behind_ || owner_.draining(); }

}  // namespace sallyport
