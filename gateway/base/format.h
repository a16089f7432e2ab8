// fmt, named in one place.
#pragma once
#include <fmt/format.h>

#include <string>
#include <utility>

namespace sallyport {

// Objects, not functions: an argument of a std type would otherwise bring std::format into the same call (g++ 13 and
// newer).
struct FormatCall {
  template <class... Args>
  std::string operator()(fmt::format_string<Args...> text, Args&&... args) const {
    return fmt::format(text, std::forward<Args>(args)...);
  }
};
struct FormatToCall {
  template <class Out, class... Args>
  Out operator()(Out out, fmt::format_string<Args...> text, Args&&... args) const {
    return fmt::format_to(out, text, std::forward<Args>(args)...);
  }
};
inline constexpr FormatCall format{};
inline constexpr FormatToCall format_to{};

}  // namespace sallyport
