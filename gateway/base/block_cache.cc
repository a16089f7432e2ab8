#include "base/block_cache.h"

#include <malloc.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace sallyport {
namespace {

constexpr size_t kGrain = 16;        // the C library's own step: blocks are no larger than they would be without this
constexpr size_t kOverhead = 8;      // of a block's last grain, what its header takes
constexpr size_t kMostSmall = 8192;  // an SSL object is 7.5 KiB
constexpr size_t kClasses = kMostSmall / kGrain + 1;
// The buffer of a TLS record, with what each version of TLS adds: all of one size, so that any fits any.
constexpr size_t kLeastBuffer = 16 * 1024;
constexpr size_t kBuffer = 18 * 1024;
constexpr size_t kMostBytes = 1024 * 1024;  // of small blocks, a thread and cache
constexpr size_t kMostBuffers = 32;

struct Free {
  Free* next;
};

struct Cache {
  std::array<Free*, kClasses> small{};
  Free* buffers = nullptr;
  size_t bytes = 0;
  size_t buffer_count = 0;

  void* take(size_t size) noexcept;
  void give(void* memory) noexcept;
  void clear() noexcept;
  size_t kept() const noexcept { return bytes + buffer_count * kBuffer; }
};

// Two: a crowd of connections that has left would take up the room of what a handshake needs.
struct Caches {
  Cache libraries;
  Cache objects;
  ~Caches();
};

// Blocks are freed after a thread's caches are gone, too.
constinit thread_local bool closed = false;
constinit thread_local Caches caches;

void free_all(Free*& list) noexcept {
  while (Free* block = list) {
    list = block->next;
    std::free(block);
  }
}

void Cache::clear() noexcept {
  for (Free*& list : small) free_all(list);
  free_all(buffers);
  bytes = buffer_count = 0;
}

Caches::~Caches() {
  closed = true;
  libraries.clear();
  objects.clear();
}

size_t class_of(size_t size) noexcept { return size <= kOverhead ? 1 : (size - kOverhead + kGrain - 1) / kGrain; }
bool is_buffer(size_t size) noexcept { return size > kLeastBuffer && size <= kBuffer; }

Free* pop(Free*& list) noexcept {
  Free* block = list;
  list = block->next;
  return block;
}

void push(Free*& list, void* memory) noexcept {
  auto* block = static_cast<Free*>(memory);
  block->next = list;
  list = block;
}

// Inlined where they are called: a handshake comes here some fifteen hundred times.
[[gnu::always_inline]] inline void* Cache::take(size_t size) noexcept {
  if (is_buffer(size)) {
    if (buffers == nullptr) return std::malloc(kBuffer);
    --buffer_count;
    return pop(buffers);
  }
  const size_t which = class_of(size);
  if (which >= kClasses) return std::malloc(size);
  const size_t rounded = which * kGrain + kOverhead;
  if (small[which] == nullptr) return std::malloc(rounded);
  bytes -= rounded;
  return pop(small[which]);
}

[[gnu::always_inline]] inline void Cache::give(void* memory) noexcept {
  const size_t size = malloc_usable_size(memory);
  if (size >= kBuffer && size < kBuffer + 2 * kGrain && buffer_count < kMostBuffers) {
    ++buffer_count;
    push(buffers, memory);
  } else if (const size_t which = (size - kOverhead) / kGrain;
             which < kClasses && bytes + which * kGrain + kOverhead <= kMostBytes) {
    bytes += which * kGrain + kOverhead;
    push(small[which], memory);
  } else {
    std::free(memory);
  }
}

}  // namespace

void* take_block(size_t size) noexcept { return size == 0 ? nullptr : caches.libraries.take(size); }

void* take_zeroed_block(size_t count, size_t size) noexcept {
  size_t whole = 0;
  if (__builtin_mul_overflow(count, size, &whole)) return nullptr;
  void* block = take_block(whole);
  if (block != nullptr) std::memset(block, 0, whole);
  return block;
}

void give_block(void* memory) noexcept {
  if (memory == nullptr) return;
  if (closed) return std::free(memory);
  caches.libraries.give(memory);
}

void* resize_block(void* memory, size_t size) noexcept {
  if (memory == nullptr) return take_block(size);
  if (size == 0) {
    give_block(memory);
    return nullptr;
  }
  const size_t had = malloc_usable_size(memory);
  if (size <= had && size > had / 2) return memory;
  void* moved = take_block(size);
  if (moved == nullptr) return nullptr;
  std::memcpy(moved, memory, had < size ? had : size);
  give_block(memory);
  return moved;
}

void* Recycled::operator new(size_t size) {
  if constexpr (!kKeepsBlocks) return ::operator new(size);
  if (void* memory = caches.objects.take(size)) return memory;
  throw std::bad_alloc();
}

void Recycled::operator delete(void* memory) noexcept {
  if constexpr (!kKeepsBlocks) return ::operator delete(memory);
  if (memory == nullptr) return;
  if (closed) return std::free(memory);
  caches.objects.give(memory);
}

void forget_blocks() noexcept {
  caches.libraries.clear();
  caches.objects.clear();
}

size_t kept_bytes() noexcept { return caches.libraries.kept() + caches.objects.kept(); }

}  // namespace sallyport
