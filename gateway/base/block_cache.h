// Memory for libraries that ask for many small blocks and give most of them back: OpenSSL takes about a thousand for a
// handshake and borrows a buffer of 17 KiB for each record, nghttp2 takes seven for a stream. That is more than the C
// library keeps at hand for a thread. What is given back is kept here for the next time, by thread and size, within bounds.
#pragma once
#include <cstddef>

#include "base/sanitizers.h"

namespace sallyport {

// False where a sanitizer wants to see every block of its own: libraries are then left to the C library.
inline constexpr bool kKeepsBlocks = !kSanitized;

// As malloc(), realloc() and free(). Any thread; a block may be given back by another than took it.
void* take_block(size_t size) noexcept;  // null for 0, and when there is no memory
void* take_zeroed_block(size_t count, size_t size) noexcept;  // as calloc()
void* resize_block(void* memory, size_t size) noexcept;
void give_block(void* memory) noexcept;
// The memory of what comes and goes with connections. In bursts those are more than the C library keeps at hand.
struct Recycled {
  static void* operator new(size_t size);  // throws std::bad_alloc
  static void operator delete(void* memory) noexcept;
};
// Frees what this thread keeps: for one that will rest.
void forget_blocks() noexcept;
// Bytes that this thread keeps.
size_t kept_bytes() noexcept;

}  // namespace sallyport
