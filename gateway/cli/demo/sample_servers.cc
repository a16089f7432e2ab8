#include "cli/demo/sample_servers.h"

#include <pthread.h>

#include <csignal>
#include <utility>

#include "net/socket.h"

namespace sallyport::demo {
namespace {

constexpr int kRounds = 16;

}  // namespace

// One connection. Has no deadlines: the gateway before it has them all.
class SampleServers::Connection final : public IoHandler, public Doomed, public Runnable, public ListHook<Connection> {
 public:
  Connection(IoContext& io, TransportPtr transport, std::unique_ptr<Conversation> conversation, const SampleTls& tls)
      : io_(io), transport_(std::move(transport)), conversation_(std::move(conversation)) {
    transport_->set_handler(this);
    if (tls.context == nullptr) {
      greet();
    } else {
      failed_ = !transport_->accept_tls(*tls.context, tls.name);
    }
  }

  void on_run() override { on_io(); }

  void on_io() override {
    for (int round = 0; round < kRounds; ++round) {
      if (!transport_ || failed_ || !step()) {
        if (failed_) close();
        return;
      }
    }
    io_.loop.give_way(*this);
  }

  void close() {
    if (!transport_) return;
    transport_.reset();
    static_cast<ListHook<Runnable>&>(*this).unlink();
    static_cast<ListHook<Connection>&>(*this).unlink();
    io_.loop.bury(std::unique_ptr<Doomed>(this));
  }

 private:
  void greet() {
    greeted_ = true;
    std::string out;
    conversation_->begin(out);
    transport_->write(as_bytes(out));
  }

  // False: nothing more to do now, or failed_.
  bool step() {
    if (!greeted_) {
      Transport::Handshake state = transport_->handshake();
      if (state == Transport::Handshake::again) return false;
      if (state == Transport::Handshake::failed) {
        transport_->flush();  // the alert
        return fail();
      }
      greet();
    }
    if (!transport_->flush()) return fail();
    if (client_ended_) return transport_->write_ended() && fail();
    if (transport_->congested()) return false;
    switch (transport_->read()) {
      case Transport::Read::again: return false;
      case Transport::Read::failed: return fail();
      case Transport::Read::eof:
        client_ended_ = true;
        transport_->end_write();
        return true;
      case Transport::Read::data: break;
    }
    // After the last word only the client's end is waited for: closing on unread bytes would take that word back.
    if (transport_->write_ended() || said_all_) return true;
    std::string out;
    said_all_ = !conversation_->feed(transport_->bytes(), out);
    transport_->write(as_bytes(out));
    if (said_all_) transport_->end_write();
    return true;
  }

  bool fail() {
    failed_ = true;
    return false;
  }

  IoContext& io_;
  TransportPtr transport_;
  std::unique_ptr<Conversation> conversation_;
  bool greeted_ = false;
  bool client_ended_ = false;
  bool said_all_ = false;
  bool failed_ = false;
};

class SampleServers::Acceptor final : public IoHandler {
 public:
  Acceptor(SampleServers& servers, UniqueFd fd, Make make, SampleTls tls)
      : servers_(servers), fd_(std::move(fd)), make_(std::move(make)), tls_(std::move(tls)) {
    watch_.handler = this;
  }
  ~Acceptor() { servers_.loop_.poller().remove(fd_.get()); }

  Status listen() { return servers_.loop_.poller().add_level(fd_.get(), watch_, false); }
  uint16_t port() const { return local_address(fd_.get()).port(); }

  void on_io() override {
    auto accepted = accept_from(fd_.get());
    if (!accepted) return;
    auto transport = Transport::make(servers_.io_, std::move(accepted->fd), true);
    if (!transport) return;
    auto* connection = new Connection(servers_.io_, std::move(*transport), make_(), tls_);
    servers_.connections_.push_back(*connection);
    connection->on_io();
  }

 private:
  SampleServers& servers_;
  UniqueFd fd_;
  Make make_;
  SampleTls tls_;
  Watch watch_;
};

SampleServers::SampleServers() : io_(loop_) {}

SampleServers::~SampleServers() {
  if (thread_.joinable()) {
    loop_.post([this] { loop_.stop(); });
    thread_.join();
  }
  while (Connection* connection = connections_.front()) connection->close();
  acceptors_.clear();
  loop_.purge();
}

Result<uint16_t> SampleServers::add(Make make, SampleTls tls) {
  auto address = Address::parse_ip("127.0.0.1", 0);
  if (!address) return address.error();
  ListenOptions options;
  options.reuse_port = false;
  auto fd = listen_on(*address, options);
  if (!fd) return fd.error();
  auto acceptor = std::make_unique<Acceptor>(*this, std::move(*fd), std::move(make), std::move(tls));
  if (auto listening = acceptor->listen(); !listening) return listening.error();
  acceptors_.push_back(std::move(acceptor));
  return acceptors_.back()->port();
}

void SampleServers::start() {
  // Signals are the main thread's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "samples");
    loop_.run();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace sallyport::demo
