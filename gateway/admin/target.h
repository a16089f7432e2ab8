// A request's target taken apart: the parts of its path and its parameters, percent-decoded.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport {

struct AdminTarget {
  std::vector<std::string> parts;  // of "/a/b%2Fc": "a", "b/c"; of "/": one that is empty
  std::vector<std::pair<std::string, std::string>> query;
};

// False: it does not begin with "/", an escape is broken, or there are more than a few parameters.
bool parse_target(std::string_view target, AdminTarget& out);
// As it may stand as one part of a path.
std::string percent_encoded(std::string_view text);

}  // namespace sallyport
