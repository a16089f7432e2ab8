#include "metrics/service_stats.h"

namespace sallyport {
namespace {

std::atomic<unsigned> g_workers{1};

}  // namespace

void set_counting_workers(unsigned count) noexcept { g_workers.store(count == 0 ? 1 : count); }
unsigned counting_workers() noexcept { return g_workers.load(std::memory_order_relaxed); }

}  // namespace sallyport
