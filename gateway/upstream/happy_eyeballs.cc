#include "upstream/happy_eyeballs.h"

#include "net/socket.h"

namespace sallyport {

std::optional<Result<TransportPtr>> HappyEyeballs::start(const Address& first, const Address& second,
                                                         const Address* source) {
  source_ = source;
  attempts_[0].address = first;
  attempts_[1].address = second;
  begin(attempts_[0]);
  if (!attempts_[0].transport) return begin_second();
  io_.loop.arm(deadline_, kHeadStart);
  return look();
}

void HappyEyeballs::begin(Attempt& attempt) {
  auto connecting = connect_to(attempt.address, source_);
  if (!connecting) {
    error_ = connecting.error();
    return;
  }
  auto transport = Transport::make(io_, std::move(connecting->fd), !connecting->in_progress);
  if (!transport) {
    error_ = transport.error();
    return;
  }
  attempt.transport = std::move(*transport);
  attempt.transport->set_handler(this);
}

std::optional<Result<TransportPtr>> HappyEyeballs::begin_second() {
  second_began_ = true;
  deadline_.disarm();
  begin(attempts_[1]);
  return look();
}

std::optional<Result<TransportPtr>> HappyEyeballs::look() {
  for (size_t i = 0; i < attempts_.size(); ++i) {
    TransportPtr& transport = attempts_[i].transport;
    if (!transport || (!transport->writable() && !transport->hangup())) continue;
    const int sys = transport->hangup() ? socket_error(transport->fd()) : 0;
    if (sys == 0) {
      winner_ = static_cast<int>(i);
      deadline_.disarm();
      attempts_[1 - i].transport.reset();
      transport->set_handler(nullptr);
      return Result<TransportPtr>(std::move(transport));
    }
    error_ = Error::from_errno(sys, Side::upstream, Retry::other_endpoint, "connect");
    transport.reset();
  }
  if (attempts_[0].transport || attempts_[1].transport) return std::nullopt;
  if (!second_began_) return begin_second();  // nobody waits for one that has failed
  return Result<TransportPtr>(error_);
}

void HappyEyeballs::on_io() {
  if (auto outcome = look()) owner_.on_raced(std::move(*outcome));
}

void HappyEyeballs::on_deadline(Deadline&) {
  if (auto outcome = begin_second()) owner_.on_raced(std::move(*outcome));
}

}  // namespace sallyport
