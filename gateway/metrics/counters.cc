#include "metrics/counters.h"

namespace sallyport {

const char* name_of(Rejection reason) noexcept {
  switch (reason) {
    case Rejection::unknown_protocol: return "unknown_protocol";
    case Rejection::bad_hello: return "bad_hello";
    case Rejection::no_route: return "no_route";
    case Rejection::bad_request: return "bad_request";
    case Rejection::bad_proxy_header: return "bad_proxy_header";
    case Rejection::untrusted_proxy: return "untrusted_proxy";
    case Rejection::access: return "access";
    case Rejection::max_connections: return "max_connections";
    case Rejection::no_descriptors: return "no_descriptors";
    case Rejection::timeout: return "timeout";
    case Rejection::busy: return "busy";
    case Rejection::flood: return "flood";
    case Rejection::kCount: break;
  }
  return "";
}

}  // namespace sallyport
