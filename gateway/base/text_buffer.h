// Text that grows at its end. Its room is not initialised, as that of a std::string would be: what goes there is written
// once.
#pragma once
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace sallyport {

class TextBuffer {
 public:
  TextBuffer() noexcept = default;
  TextBuffer(const TextBuffer& other) { append(other.view()); }
  TextBuffer(TextBuffer&& other) noexcept { swap(other); }
  TextBuffer& operator=(TextBuffer other) noexcept {
    swap(other);
    return *this;
  }
  ~TextBuffer() = default;

  const char* data() const noexcept { return data_.get(); }
  size_t size() const noexcept { return size_; }
  size_t capacity() const noexcept { return capacity_; }
  bool empty() const noexcept { return size_ == 0; }
  std::string_view view() const noexcept { return {data_.get(), size_}; }

  void swap(TextBuffer& other) noexcept {
    data_.swap(other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  // Keeps the room.
  void clear() noexcept { size_ = 0; }
  void release() noexcept { *this = TextBuffer(); }
  // Room behind the text for so many bytes, until the next change; commit() says where what was written there ends.
  char* room(size_t most) {
    if (capacity_ - size_ < most) grow(most);
    return data_.get() + size_;
  }
  void commit(const char* end) noexcept { size_ = static_cast<size_t>(end - data_.get()); }
  // No view into this very text.
  void append(std::string_view text) {
    char* at = room(text.size());
    commit(at + text.copy(at, text.size()));
  }

 private:
  void grow(size_t most) {
    const size_t wanted = size_ + most < 2 * capacity_ ? 2 * capacity_ : size_ + most;
    std::unique_ptr<char[]> larger(new char[wanted]);
    if (size_ > 0) std::memcpy(larger.get(), data_.get(), size_);
    data_ = std::move(larger);
    capacity_ = wanted;
  }

  std::unique_ptr<char[]> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace sallyport
