// One client of the admin interface: requests one after the other, each answered at once or later, or a stream of
// events. On the control thread. Everything is bounded: what a request may hold, how long it may take, how much an answer
// may wait for a client that does not read.
#pragma once
#include <memory>
#include <string>

#include "admin/auth.h"
#include "admin/responder.h"
#include "http/h1_reader.h"
#include "net/loop.h"
#include "transport/transport.h"

namespace sallyport {

class AdminConnection final : public ListHook<AdminConnection>,
                              public Doomed,
                              private IoHandler,
                              private Responder::Client,
                              private Deadline::Owner,
                              private Runnable {
 public:
  class Owner {
   public:
    virtual AdminPlace place() const = 0;
    virtual void handle(const AdminPlace& place, const http::RequestHead& head, AdminRequest request,
                        const Responder& responder) = 0;
    // It has been taken off the list, and dies at the end of the turn.
    virtual void closed(AdminConnection& connection) = 0;

   protected:
    ~Owner() = default;
  };
  static constexpr size_t kMostBody = 64 * 1024;
  // Of events that a client has not read.
  static constexpr size_t kMostUnsent = 1024 * 1024;

  AdminConnection(Owner& owner, TransportPtr transport, const Address& peer);
  void start();
  void close();
  // Nothing is lost if it goes: no request has begun.
  bool idle() const noexcept { return mode_ == Mode::idle; }

 private:
  enum class Mode : uint8_t {
    idle,
    reading,  // a request has begun
    waiting,  // for its answer
    events,
    closing,  // what was answered is still being sent; what comes is dropped
  };

  void on_io() override { pump(); }
  void on_deadline(Deadline& which) override;
  void on_run() override { pump(); }
  void answer(const AdminAnswer& answer) override;
  void begin_events() override;
  void send_event(std::string_view name, std::string_view data) override;
  size_t unsent() const noexcept override { return transport_ ? transport_->pending() : 0; }

  void pump();
  bool step();  // true: go on
  void process();
  void on_head();
  void on_body(Bytes piece);
  void on_request();
  void refuse(int status, std::string_view why);
  void write_head(int status, const AdminAnswer& answer, bool sized);
  void set_mode(Mode mode);
  void arm();

  Owner& owner_;
  TransportPtr transport_;
  AdminPeer peer_;
  Deadline deadline_;
  http::H1RequestReader reader_;
  http::RequestHead head_;
  http::HeaderList trailers_;
  std::string input_;  // read, not yet dealt with
  std::string body_;
  Responder responder_;
  uint64_t sent_ = 0;  // when the deadline was armed
  Mode mode_ = Mode::idle;
  bool input_incomplete_ = false;
  bool ended_ = false;  // the client has ended its side
  bool pumping_ = false;
};

}  // namespace sallyport
