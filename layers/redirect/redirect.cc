#include "layers/redirect/redirect.h"

namespace sallyport {

http::Reply redirect_for(const config::Redirect& redirect, const http::RequestHead& request) {
  std::string location = redirect.to;
  if (redirect.keep_path && request.target.starts_with('/')) {
    while (location.ends_with('/')) location.pop_back();
    location += request.target;
  }
  return http::redirect_reply(redirect.status, location);
}

}  // namespace sallyport
