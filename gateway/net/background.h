// Work that takes a while, off a loop's thread.
#pragma once
#include <functional>

namespace sallyport {

class Loop;

// work runs on one of libuv's threads; then done, once, on the loop's. What both touch must outlive the loop, or be
// shared by them: a loop that ends waits for work that has begun, and done is called then too.
void run_in_background(Loop& loop, std::function<void()> work, std::function<void()> done);

}  // namespace sallyport
