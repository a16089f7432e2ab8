#pragma once

#include <string>

#include "loop.h"

namespace bench_floor {

/// Answers each head with the same bytes; what a head says is not looked at, and a body would be taken for heads.
class Redirect : public Session, public Watcher {
 public:
  Redirect(Loop& loop, int fd, const std::string& answer);
  void ready(uint32_t events) override;

 private:
  bool answer_all(const char* bytes, size_t size);
  void close();

  Loop& loop_;
  int fd_;
  const std::string& answer_;
  std::string head_;  // as much as came of one
  std::string rest_;  // of answers
  bool closed_ = false;
};

std::string redirect_to(const std::string& location);

}  // namespace bench_floor
