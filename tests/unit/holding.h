// A matcher for text that holds a part; Catch2 2 and 3 name it differently.
#pragma once
#include <string>

#include "catch.h"

namespace sallyport::test {

inline auto holding(const std::string& part) {
#if __has_include(<catch2/catch_all.hpp>)
  return Catch::Matchers::ContainsSubstring(part);
#else
  return Catch::Matchers::Contains(part);
#endif
}

}  // namespace sallyport::test
