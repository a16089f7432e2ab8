// Memory for what asks for many small blocks and gives most of them back: OpenSSL takes about a thousand for a
// handshake and borrows a buffer of 17 KiB for each record, nghttp2 takes seven for a stream, and a connection is some
// six objects of ours. That is more than the C library keeps at hand for a thread. What is given back is kept here for
// the next time, by thread and size, within bounds.
#pragma once
#include <cstddef>
#include <new>

#include "base/sanitizers.h"

namespace sallyport {

// False where a sanitizer wants to see every block of its own: all is then left to the C library.
inline constexpr bool kKeepsBlocks = !kSanitized;

// As malloc(), realloc() and free(). Any thread; a block may be given back by another than took it.
void* take_block(size_t size) noexcept;  // null for 0, and when there is no memory
void* take_zeroed_block(size_t count, size_t size) noexcept;  // as calloc()
void* resize_block(void* memory, size_t size) noexcept;
void give_block(void* memory) noexcept;
// What comes and goes with connections derives from this; once in each class, and with no alignment of its own. Kept
// beside what libraries use, and bounded likewise.
struct Recycled {
  static void* operator new(size_t size);  // throws std::bad_alloc
  static void* operator new(size_t size, std::align_val_t) = delete;
  static void operator delete(void* memory) noexcept;
};
// Frees what this thread keeps: for one that will rest.
void forget_blocks() noexcept;
// Bytes that this thread keeps.
size_t kept_bytes() noexcept;

}  // namespace sallyport
