// An HTTP/2 connection in the making, and who waits for it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/list.h"
#include "base/result.h"

namespace sallyport {

class H2Waiter : public ListHook<H2Waiter> {
 public:
  // error: null if the connection stands (or was given up: then somebody else has to try). To be noted only: it is
  // dealt with in the next turn.
  virtual void on_dialed(const Error* error) = 0;

 protected:
  ~H2Waiter() = default;
};

// Belongs to who connects, then to the connection, until the server's SETTINGS say how many requests it takes.
struct H2Dial : ListHook<H2Dial> {
  std::string key;
  uint32_t generation = 0;
  List<H2Waiter> waiters;
  size_t waiting = 0;

  void end(const Error* error) {
    while (H2Waiter* waiter = waiters.pop_front()) waiter->on_dialed(error);
  }
};

}  // namespace sallyport
