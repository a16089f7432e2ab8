#include "base/result.h"

#include <cstring>

namespace sallyport {

std::string Error::text() const {
  std::string out = what;
  if (!detail.empty()) {
    if (!out.empty()) out += ": ";
    out += detail;
  }
  if (sys != 0) {
    char buffer[128];
    if (!out.empty()) out += ": ";
    out += strerror_r(sys, buffer, sizeof buffer);
  }
  return out;
}

}  // namespace sallyport
