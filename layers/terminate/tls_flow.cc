#include "layers/terminate/tls_flow.h"

#include <algorithm>

#include "layers/forward/relay_flow.h"
#include "layers/registry.h"
#include "layers/terminate/h1_flow.h"
#include "layers/terminate/h2_flow.h"

namespace sallyport {

TlsFlow::TlsFlow(Client& client, const ClientHello& hello, SSL_CTX& context, const TlsHost* host)
    : Flow(client), hello_(hello), context_(&context), host_(host), deadline_(*this) {}

void TlsFlow::start() {
  client_.transport->set_handler(this);
  if (auto started = client_.transport->accept_tls(*context_, client_.sni); !started) {
    fail(HandshakeFailure::other, End::internal, started.error().text());
    return;
  }
  const config::Timeouts& timeouts =
      host_ != nullptr && host_->first != nullptr ? host_->first->config.timeouts : client_.listener->timeouts;
  // The time runs from the accept: sniffing has used some of it.
  Loop& loop = client_.worker->io.loop;
  auto used = static_cast<int64_t>((loop.turn_began_us() - client_.accepted_us) / 1000);
  if (timeouts.handshake.count() > 0)
    loop.arm(deadline_, config::Milliseconds(std::max<int64_t>(1, timeouts.handshake.count() - used)));
  advance();
}

void TlsFlow::advance() {
  switch (client_.transport->handshake()) {
    case Transport::Handshake::again: return;
    case Transport::Handshake::failed: {
      const Error& error = client_.transport->error();
      const std::string_view word = client_.transport->tls_failure();
      const bool cut = error.kind == Kind::cut || error.kind == Kind::io;
      fail(cut ? HandshakeFailure::cut : handshake_failure_of(word), cut ? End::client_cut : End::tls_error, error.text());
      return;
    }
    case Transport::Handshake::done: break;
  }
  deadline_.disarm();
  client_.tls = true;
  client_.handshake_ms = static_cast<int64_t>((Loop::precise_now() - client_.accepted_us) / 1000);
  Counters& counters = client_.worker->counters;
  counters.handshakes.add();
  ListenerCounters& listener = client_.listener_counters();
  listener.handshakes[static_cast<size_t>(client_.transport->tls_version())].add();
  if (client_.transport->tls_resumed()) {
    counters.handshakes_resumed.add();
    listener.handshakes_resumed.add();
  }
  if (host_ != nullptr && host_->tcp != nullptr) {
    client_.become(std::make_unique<RelayFlow>(client_, *host_->tcp, &hello_));
    return;
  }
  std::string rule = host_ != nullptr ? host_->client_rule : std::string();
  if (client_.transport->alpn() == "h2") {
    client_.become(std::make_unique<H2Flow>(client_, std::move(rule)));
  } else {
    client_.become(std::make_unique<H1Flow>(client_, std::move(rule)));
  }
}

void TlsFlow::describe(SessionInfo& info) const {
  info.protocol = "handshake";
  info.state = "opening";
  if (host_ != nullptr) info.service = host_->first;
}

void TlsFlow::on_deadline(Deadline&) {
  client_.reject(Rejection::timeout);
  fail(HandshakeFailure::timeout, End::client_timeout, "TLS handshake");
}

void TlsFlow::fail(HandshakeFailure kind, End end, std::string_view reason) {
  deadline_.disarm();
  client_.worker->counters.handshake_failures.add();
  client_.listener_counters().handshake_failures[static_cast<size_t>(kind)].add();
  log_turned_away(client_, end, reason);
  client_.transport->flush();  // the alert
  client_.end_lingering();
}

}  // namespace sallyport
