// Unix signals as loop events.
#pragma once
#include <functional>
#include <initializer_list>
#include <memory>

namespace sallyport {

class Loop;

class Signals {
 public:
  // Calls `handler` on the loop's thread each time one of them arrives. The loop must outlive this.
  Signals(Loop& loop, std::initializer_list<int> numbers, std::function<void(int)> handler);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sallyport
