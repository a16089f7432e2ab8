// What an HTTP/1.1 client is waited for, how long, and what follows when it does not come.
#include "layers/terminate/h1_flow.h"

namespace sallyport {

// One deadline, for whatever the client is waited for at the moment. It is set anew when that changes or the client
// makes progress, never because the server does.
void H1Flow::rearm() {
  if (tunnel_) return;
  const Transport& transport = *client_.transport;
  auto waiting = [&]() -> Wait {
    if (closing_ || transport.pending() > 0) return kClient;
    if (!exchange_) return answered_ ? kKeepAlive : kFirstRequest;
    if (!exchange_->service && !response_over_) return kHead;
    if (raw_) return kNothing;  // the exchange sees to it
    return !request_done_ && exchange_->wants_body() ? kClient : kNothing;
  };
  Wait wait = waiting();
  // A slow head does not buy itself time byte by byte; a body and a download do.
  uint64_t progress = wait == kHead ? 0 : transport.moved();
  if (wait == waiting_for_ && progress == client_progress_ && wait != kNothing) return;
  waiting_for_ = wait;
  client_progress_ = progress;
  config::Milliseconds after{0};
  switch (wait) {
    case kNothing: break;
    case kFirstRequest:
    case kHead: after = timeouts().request; break;
    case kKeepAlive: after = timeouts().keep_alive; break;
    case kClient: after = timeouts().client; break;
  }
  client_.worker->io.loop.arm(deadline_, after);
}

void H1Flow::on_deadline(Deadline&) {
  if (ended_) return;
  switch (waiting_for_) {
    case kFirstRequest:
    case kKeepAlive: close_when_sent(input_.empty()); return;
    case kHead:
      client_.reject(Rejection::timeout);
      close_after_ = true;
      refuse(408, End::client_timeout, "request head");
      pump();
      return;
    case kClient:
      client_.reject(Rejection::timeout);
      if (closing_ || !exchange_ || head_sent_) {
        cut(End::client_timeout, "no progress");
        return;
      }
      exchange_->cancel();
      close_after_ = true;
      refuse(408, End::client_timeout, "request body");
      pump();
      return;
    case kNothing: return;
  }
}

}  // namespace sallyport
