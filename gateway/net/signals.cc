#include "net/signals.h"

#include <vector>

#include "net/loop.h"

namespace sallyport {

struct Signals::State {
  std::function<void(int)> handler;
  std::vector<uv_signal_t*> handles;
};

Signals::Signals(Loop& loop, std::initializer_list<int> numbers, std::function<void(int)> handler)
    : state_(std::make_shared<State>()) {
  state_->handler = std::move(handler);
  for (int number : numbers) {
    auto* handle = new uv_signal_t;
    uv_signal_init(loop.uv(), handle);
    handle->data = state_.get();
    uv_signal_start(
        handle, [](uv_signal_t* h, int n) { static_cast<State*>(h->data)->handler(n); }, number);
    state_->handles.push_back(handle);
  }
}

Signals::~Signals() {
  for (uv_signal_t* handle : state_->handles)
    uv_close(reinterpret_cast<uv_handle_t*>(handle), [](uv_handle_t* h) { delete reinterpret_cast<uv_signal_t*>(h); });
}

}  // namespace sallyport
