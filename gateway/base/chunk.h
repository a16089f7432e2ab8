// Buffers that exist only while they hold something. A ChunkPool belongs to one worker; a Chain is a queue of bytes
// made of its chunks, which go back to the pool as soon as they are empty.
#pragma once
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"

namespace sallyport {

struct Chunk {
  static constexpr size_t kSize = 16 * 1024;
  Chunk* next = nullptr;
  uint32_t begin = 0;
  uint32_t end = 0;
  uint8_t data[kSize];

  size_t size() const noexcept { return end - begin; }
  size_t room() const noexcept { return kSize - end; }
};

// Keeps up to `keep` free chunks; the rest goes back to the allocator. Single-threaded.
class ChunkPool {
 public:
  explicit ChunkPool(size_t keep = 256) noexcept : keep_(keep) {}
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  ~ChunkPool();
  Chunk* take();
  void give(Chunk* chunk) noexcept;
  size_t in_use() const noexcept { return in_use_; }

 private:
  Chunk* free_ = nullptr;
  size_t free_count_ = 0;
  size_t in_use_ = 0;
  size_t keep_;
};

// A queue of bytes. Move-only; the pool must outlive it.
class Chain {
 public:
  explicit Chain(ChunkPool& pool) noexcept : pool_(&pool) {}
  Chain(Chain&& other) noexcept;
  Chain& operator=(Chain&& other) noexcept;
  ~Chain() { clear(); }

  bool empty() const noexcept { return size_ == 0; }
  size_t size() const noexcept { return size_; }
  void clear() noexcept;
  void append(Bytes bytes);
  void append(std::string_view text) { append(as_bytes(text)); }
  // Room at the end for a direct read: at least 1 byte; commit says how much of it was filled.
  MutableBytes prepare();
  void commit(size_t count) noexcept;
  // The first contiguous piece; empty if the chain is.
  Bytes front() const noexcept;
  void consume(size_t count) noexcept;
  // Fills up to `most` entries; returns how many.
  size_t gather(iovec* out, size_t most) const noexcept;
  // Everything of other goes to the end of this one, without copying. Both must come from the same pool.
  void take(Chain& other) noexcept;

 private:
  ChunkPool* pool_;
  Chunk* head_ = nullptr;
  Chunk* tail_ = nullptr;
  size_t size_ = 0;
};

}  // namespace sallyport
