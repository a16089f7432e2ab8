#include "base/block_cache.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "catch.h"

using namespace sallyport;

TEST_CASE("block cache: blocks of every size are whole, aligned, and keep what is in them") {
  std::vector<std::pair<unsigned char*, size_t>> blocks;
  for (int round = 0; round < 3; ++round) {
    for (size_t size = 1; size < 40'000; size += size < 600 ? 1 : 777) {
      auto* block = static_cast<unsigned char*>(take_block(size));
      REQUIRE(block != nullptr);
      REQUIRE(reinterpret_cast<uintptr_t>(block) % 16 == 0);
      std::memset(block, static_cast<int>(size % 251), size);
      blocks.emplace_back(block, size);
    }
    for (auto [block, size] : blocks) {
      REQUIRE(block[0] == size % 251);
      REQUIRE(block[size - 1] == size % 251);
      give_block(block);
    }
    blocks.clear();
  }
  CHECK(take_block(0) == nullptr);
  give_block(nullptr);
}

TEST_CASE("block cache: a resized block keeps its beginning") {
  auto* block = static_cast<unsigned char*>(resize_block(nullptr, 10));
  std::memset(block, 7, 10);
  size_t whole = 10;
  for (size_t size : {200u, 17'000u, 60'000u, 17'500u, 30u, 10u}) {
    CAPTURE(size);
    block = static_cast<unsigned char*>(resize_block(block, size));
    REQUIRE(block != nullptr);
    for (size_t i = 0; i < std::min(whole, size_t{size}); ++i) REQUIRE(block[i] == 7);
    std::memset(block, 7, size);
    whole = size;
  }
  CHECK(resize_block(block, 0) == nullptr);
}

TEST_CASE("block cache: what was given back last is taken first") {
  for (size_t size : {40u, 1000u, 7608u, 16'704u}) {
    CAPTURE(size);
    void* block = take_block(size);
    give_block(block);
    void* again = take_block(size);
    CHECK(again == block);
    give_block(again);
  }
}

TEST_CASE("block cache: a thread keeps no more than its share, and takes what others have taken") {
  std::vector<void*> blocks;
  for (int i = 0; i < 20'000; ++i) blocks.push_back(take_block(i % 2 == 0 ? 500 : 16'704));
  size_t kept = 0;
  std::thread([&] {
    for (void* block : blocks) give_block(block);
    kept = kept_bytes();
  }).join();
  CHECK(kept > 1024 * 1024);
  CHECK(kept <= 1024 * 1024 + 32 * 18 * 1024);
}

TEST_CASE("block cache: a zeroed block is zero though it was used before, and is refused where its size overflows") {
  void* used = take_block(300);
  std::memset(used, 0xff, 300);
  give_block(used);
  auto* zeroed = static_cast<unsigned char*>(take_zeroed_block(3, 100));
  REQUIRE(zeroed != nullptr);
  CHECK(std::all_of(zeroed, zeroed + 300, [](unsigned char byte) { return byte == 0; }));
  give_block(zeroed);
  CHECK(take_zeroed_block(SIZE_MAX / 2, 3) == nullptr);
}

TEST_CASE("blocks: a thread that will rest keeps nothing") {
  if (!kKeepsBlocks) return;
  size_t kept[3] = {};
  std::thread([&] {
    std::vector<void*> blocks;
    for (size_t size : {16, 100, 5000, 17 * 1024})
      for (int i = 0; i < 8; ++i) blocks.push_back(take_block(size));
    for (void* block : blocks) give_block(block);
    kept[0] = kept_bytes();
    forget_blocks();
    kept[1] = kept_bytes();
    give_block(take_block(100));
    kept[2] = kept_bytes();
  }).join();
  CHECK(kept[0] > 8 * 17 * 1024);
  CHECK(kept[1] == 0);
  CHECK(kept[2] > 0);
}

namespace {

struct Small : Recycled {
  virtual ~Small() = default;
  char text[100] = {};
};
struct Large final : Small {
  char more[1000] = {};
};

}  // namespace

TEST_CASE("blocks: an object's memory is that of the last one of its size, and takes no room from what libraries use") {
  if (!kKeepsBlocks) return;
  std::unique_ptr<Small> first = std::make_unique<Large>();
  void* const at = first.get();
  first.reset();  // the size is that of what it was, not of what it was known as
  auto small = std::make_unique<Small>();
  CHECK(small.get() != at);
  auto large = std::make_unique<Large>();
  CHECK(large.get() == at);
  size_t kept[3] = {};
  std::thread([&] {
    std::vector<std::unique_ptr<Large>> crowd;
    for (int i = 0; i < 5'000; ++i) crowd.push_back(std::make_unique<Large>());
    crowd.clear();
    kept[0] = kept_bytes();
    give_block(take_block(1000));
    kept[1] = kept_bytes();
    large.reset();  // which another thread has made
    kept[2] = kept_bytes();
  }).join();
  CHECK(kept[0] > 900 * 1024);
  CHECK(kept[0] <= 1024 * 1024);
  CHECK(kept[1] > kept[0]);
  CHECK(kept[2] - kept[1] < 2000);
}
