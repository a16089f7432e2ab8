#include "base/chunk.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sallyport {

ChunkPool::~ChunkPool() {
  while (free_ != nullptr) delete std::exchange(free_, free_->next);
}

Chunk* ChunkPool::take() {
  ++in_use_;
  if (free_ == nullptr) return new Chunk;
  Chunk* chunk = std::exchange(free_, free_->next);
  --free_count_;
  chunk->next = nullptr;
  chunk->begin = chunk->end = 0;
  return chunk;
}

void ChunkPool::give(Chunk* chunk) noexcept {
  --in_use_;
  if (free_count_ >= keep_) {
    delete chunk;
    return;
  }
  chunk->next = free_;
  free_ = chunk;
  ++free_count_;
}

Chain::Chain(Chain&& other) noexcept
    : pool_(other.pool_),
      head_(std::exchange(other.head_, nullptr)),
      tail_(std::exchange(other.tail_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Chain& Chain::operator=(Chain&& other) noexcept {
  if (this != &other) {
    clear();
    pool_ = other.pool_;
    head_ = std::exchange(other.head_, nullptr);
    tail_ = std::exchange(other.tail_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void Chain::clear() noexcept {
  while (head_ != nullptr) pool_->give(std::exchange(head_, head_->next));
  tail_ = nullptr;
  size_ = 0;
}

MutableBytes Chain::prepare() {
  if (tail_ == nullptr || tail_->room() == 0) {
    Chunk* chunk = pool_->take();
    if (tail_ == nullptr) {
      head_ = chunk;
    } else {
      tail_->next = chunk;
    }
    tail_ = chunk;
  }
  return {tail_->data + tail_->end, tail_->room()};
}

void Chain::commit(size_t count) noexcept {
  tail_->end += static_cast<uint32_t>(count);
  size_ += count;
  // A read that brought nothing must not leave an empty chunk behind: an idle connection holds none.
  if (size_ == 0) clear();
}

void Chain::append(Bytes bytes) {
  while (!bytes.empty()) {
    MutableBytes room = prepare();
    size_t count = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), count);
    tail_->end += static_cast<uint32_t>(count);
    size_ += count;
    bytes = bytes.subspan(count);
  }
}

Bytes Chain::front() const noexcept {
  for (const Chunk* chunk = head_; chunk != nullptr; chunk = chunk->next)
    if (chunk->size() > 0) return {chunk->data + chunk->begin, chunk->size()};
  return {};
}

void Chain::consume(size_t count) noexcept {
  size_ -= count;
  while (head_ != nullptr) {
    size_t step = std::min(count, head_->size());
    head_->begin += static_cast<uint32_t>(step);
    count -= step;
    if (head_->size() > 0) return;
    pool_->give(std::exchange(head_, head_->next));
  }
  tail_ = nullptr;
}

size_t Chain::gather(iovec* out, size_t most) const noexcept {
  size_t used = 0;
  for (Chunk* chunk = head_; chunk != nullptr && used < most; chunk = chunk->next)
    if (chunk->size() > 0) out[used++] = {chunk->data + chunk->begin, chunk->size()};
  return used;
}

void Chain::take(Chain& other) noexcept {
  if (other.head_ == nullptr) return;
  if (head_ == nullptr) {
    head_ = other.head_;
  } else {
    tail_->next = other.head_;
  }
  tail_ = other.tail_;
  size_ += other.size_;
  other.head_ = other.tail_ = nullptr;
  other.size_ = 0;
}

}  // namespace sallyport
