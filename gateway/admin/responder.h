// Where an answer goes to, be it at once or later. A copyable handle: it outlives the client, and then does nothing.
#pragma once
#include <memory>
#include <string_view>
#include <utility>

#include "admin/request.h"

namespace sallyport {

class Responder {
 public:
  // A client that waits for its answer, on the control thread.
  class Client {
   public:
    virtual void answer(const AdminAnswer& answer) = 0;
    // The answer is a stream of events from here on.
    virtual void begin_events() = 0;
    // May close the client, which has not read for too long.
    virtual void send_event(std::string_view name, std::string_view data) = 0;
    // Bytes that it has not taken.
    virtual size_t unsent() const noexcept = 0;

   protected:
    ~Client() = default;
  };

  explicit Responder(Client& client) : client_(std::make_shared<Client*>(&client)) {}
  // Once.
  void answer(const AdminAnswer& answer) const {
    if (Client* client = std::exchange(*client_, nullptr)) client->answer(answer);
  }
  // Null once the client has gone, or has its answer.
  Client* client() const noexcept { return *client_; }
  // By the client, when it goes.
  void forget() const noexcept { *client_ = nullptr; }

 private:
  std::shared_ptr<Client*> client_;
};

}  // namespace sallyport
