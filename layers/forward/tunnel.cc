#include "layers/forward/tunnel.h"

#include "net/socket.h"

namespace sallyport {

Tunnel::Tunnel(Client& client, ServerConnection&& server, config::Milliseconds idle, Owner& owner)
    : client_(client), server_(std::move(server)), owner_(owner), deadline_(*this), idle_(idle) {
  relay_.emplace(*client_.transport, *server_.transport);
}

void Tunnel::start() {
  client_.transport->set_handler(this);
  server_.transport->set_handler(this);
  if (needs_keep_alive(idle_)) set_keep_alive(client_.transport->fd());  // the server's has it from its connector
  last_moved_ms_ = client_.worker->io.loop.now();
  client_.worker->io.loop.arm(deadline_, idle_);
  pump();
}

void Tunnel::close() {
  deadline_.disarm();
  static_cast<ListHook<Runnable>&>(*this).unlink();
  static_cast<ListHook<Mover>&>(*this).unlink();
  look_.unlink();
  relay_.reset();
  server_.transport.reset();
}

void Tunnel::pump() {
  Relay::State state = relay_->pump();
  uint64_t moved = relay_->from_client() + relay_->from_server();
  if (moved != moved_) {
    moved_ = moved;
    last_moved_ms_ = client_.worker->io.loop.now();
    if (first_byte_us_ < 0 && relay_->from_server() > 0)
      first_byte_us_ = static_cast<int64_t>(client_.worker->io.loop.turn_began_us() - client_.accepted_us);
    client_.worker->tally.moved(*this);
  }
  if (relay_->patient()) client_.worker->io.loop.run_shortly(look_);
  switch (state) {
    case Relay::State::running: return;
    case Relay::State::again: client_.worker->io.loop.give_way(*this); return;
    case Relay::State::done: owner_.on_tunnel_over(End::ok, {}); return;
    case Relay::State::client_failed:
      server_.transport->reset_on_close();
      owner_.on_tunnel_over(End::client_cut, relay_->error().text());
      return;
    case Relay::State::server_failed:
      client_.transport->reset_on_close();
      owner_.on_tunnel_over(End::server_cut, relay_->error().text());
      return;
  }
}

void Tunnel::look() {
  if (relay_->look())
    pump();
  else if (relay_->patient())
    client_.worker->io.loop.run_shortly(look_);
}

void Tunnel::on_deadline(Deadline&) {
  auto limit = static_cast<uint64_t>(idle_.count());
  uint64_t idle = client_.worker->io.loop.now() - last_moved_ms_;
  if (idle < limit) {
    client_.worker->io.loop.arm(deadline_, config::Milliseconds(limit - idle));
  } else {
    owner_.on_tunnel_over(End::client_timeout, "idle");
  }
}

}  // namespace sallyport
