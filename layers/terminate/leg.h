// An Exchange's server side, whatever protocol it speaks: sends the request, tells what comes back.
#pragma once
#include <cstdint>
#include <string>

#include "http/h2_session.h"
#include "http/message.h"
#include "upstream/connector.h"

namespace sallyport {

class Leg {
 public:
  // What the leg tells its exchange, from pump() only (leg_event from anywhere but pump). Only leg_ended and leg_failed
  // may end the leg; each comes at most once, last.
  class Owner {
   public:
    virtual void leg_event() = 0;             // there is something: pump, when it suits
    virtual void leg_head(bool interim) = 0;  // the response head is complete
    virtual void leg_body(Bytes piece) = 0;
    virtual void leg_ended() = 0;  // the response is complete; trailers too
    // The server has switched protocols (101, or 2xx to an extended CONNECT): whatever comes now are bytes, both ways,
    // told by leg_body until leg_ended. rest: what came along; it is told once more if the leg is kept.
    virtual void leg_upgraded(Bytes rest) = 0;
    // After leg_upgraded: the server has ended its side, and the client may still send.
    virtual void leg_half_closed() = 0;
    virtual void leg_failed(const Error& error) = 0;  // detail and retry tell how; the connection is of no more use
    virtual size_t leg_may_read() const = 0;          // as ClientSide::may_receive()

   protected:
    ~Owner() = default;
  };

  // upgrade: ask for another protocol. ended: the request has no body, and send_end() will not be needed.
  virtual void send_head(const http::RequestHead& request, bool upgrade, std::string& scratch) = 0;
  virtual void send_body(Bytes piece, std::string& scratch) = 0;
  // trailers must stay valid until the leg is over.
  virtual void send_end(const http::HeaderList& trailers, std::string& scratch) = 0;
  // The server has enough of the body for now.
  virtual bool congested() const noexcept = 0;
  // Bytes wait for the server to take them.
  virtual bool sending() const noexcept = 0;
  // Sends what is pending, tells what is there. May end the leg through the owner. False: the budget is spent, come
  // again.
  virtual bool pump() = 0;
  virtual bool can_progress() const noexcept = 0;
  // Moves with every byte, either way.
  virtual uint64_t progress() const noexcept = 0;
  // Nothing has moved for too long.
  virtual void suspect() noexcept {}
  // At once. What was not finished is reset.
  virtual void abandon() noexcept = 0;

 protected:
  ~Leg() = default;
};

}  // namespace sallyport
