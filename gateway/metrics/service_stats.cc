#include "metrics/service_stats.h"

namespace sallyport {
namespace {

std::atomic<unsigned> g_workers{1};

}  // namespace

const char* name_of(MethodClass method) noexcept {
  switch (method) {
    case MethodClass::get: return "GET";
    case MethodClass::head: return "HEAD";
    case MethodClass::post: return "POST";
    case MethodClass::put: return "PUT";
    case MethodClass::delete_: return "DELETE";
    case MethodClass::other: return "other";
    case MethodClass::kCount: break;
  }
  return "";
}

MethodClass method_class(std::string_view method) noexcept {
  switch (method.size()) {
    case 3: return method == "GET" ? MethodClass::get : method == "PUT" ? MethodClass::put : MethodClass::other;
    case 4: return method == "POST" ? MethodClass::post : method == "HEAD" ? MethodClass::head : MethodClass::other;
    case 6: return method == "DELETE" ? MethodClass::delete_ : MethodClass::other;
    default: return MethodClass::other;
  }
}

void set_counting_workers(unsigned count) noexcept { g_workers.store(count == 0 ? 1 : count); }
unsigned counting_workers() noexcept { return g_workers.load(std::memory_order_relaxed); }

}  // namespace sallyport
