// The endpoints of one server that is written as a name, and which address of an answer stands where. Their number is
// constant: a name that stands for several servers has places, and what is in the answer no more leaves one empty.
// On the control thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/dns_answer.h"
#include "upstream/endpoint.h"

namespace sallyport {

class NameGroup {
 public:
  static constexpr size_t kPlaces = 16;

  // The endpoints of one name, in the order of their places; kept alive by the snapshot.
  explicit NameGroup(std::vector<std::weak_ptr<Endpoint>> endpoints) : endpoints_(std::move(endpoints)) {}

  // What an answer has changed, for logs.
  struct Change {
    std::vector<std::string> came, left;
    size_t turned_away = 0;  // more servers than places
    bool any() const noexcept { return !came.empty() || !left.empty(); }
  };
  // now_ms: of the loops' clock. A server keeps its place as long as it is in the answer.
  Change apply(const Resolved& answer, uint64_t now_ms);
  bool answered() const noexcept { return answered_; }  // there was an answer before

 private:
  using Places = std::vector<std::shared_ptr<Endpoint>>;
  static void apply_first(Endpoint& endpoint, const Resolved& answer, Change& change);
  static void apply_all(const Places& places, const Resolved& answer, uint64_t now_ms, Change& change);
  static void apply_srv(const Places& places, const Resolved& answer, uint64_t now_ms, Change& change);

  std::vector<std::weak_ptr<Endpoint>> endpoints_;
  bool answered_ = false;
};

// The weight of an SRV record (0 to 65535) as a server's: weights of 256 and less are what they are, beyond that they
// shrink together. A server with weight 0 is to have few clients (RFC 2782), not none.
uint32_t weight_of_record(uint16_t weight, uint16_t highest) noexcept;

}  // namespace sallyport
