// Sends webhooks and mails. The only place that knows libcurl: one thread of its own, many transfers at once, so that a
// receiver that hangs holds up nobody.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "config/model.h"
#include "runtime/alert_message.h"

namespace sallyport {

class AlertSender {
 public:
  struct Job {
    std::shared_ptr<const config::Alert> alert;  // no exec
    std::shared_ptr<const AlertMessage> message;
    unsigned tries = 3;
  };
  struct Outcome {
    std::shared_ptr<const config::Alert> alert;
    std::shared_ptr<const AlertMessage> message;
    bool sent = false;
    std::string why;  // why not, in one line; no secret of the URL is in it
  };

  // done: once for each job, on the sender's thread.
  explicit AlertSender(std::function<void(Outcome)> done);
  // Gives up what is not sent; done is not called for it. Does not wait for name servers.
  ~AlertSender();
  AlertSender(const AlertSender&) = delete;
  AlertSender& operator=(const AlertSender&) = delete;

  // Any thread, never waits. False: too much waits already.
  bool send(Job job);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sallyport
