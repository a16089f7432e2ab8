// OpenSSL's memory. A handshake asks for about a thousand small blocks and gives most of them back, and each record
// borrows a buffer of 17 KiB: more than the C library keeps at hand for a thread. What OpenSSL frees is kept here for
// the next time, by thread and size, within bounds.
#pragma once
#include <cstddef>

namespace sallyport {

// Before anything of OpenSSL's has been called; once. Sanitizers see every block of their own: there it does nothing.
void keep_tls_memory() noexcept;

// What OpenSSL calls from then on. Any thread; a block may be given back by another than took it.
void* take_block(size_t size) noexcept;  // null for 0, and when there is no memory
void* resize_block(void* memory, size_t size) noexcept;
void give_block(void* memory) noexcept;
// Bytes that this thread keeps.
size_t kept_bytes() noexcept;

}  // namespace sallyport
