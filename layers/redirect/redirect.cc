#include "layers/redirect/redirect.h"

namespace sallyport {

void make_redirect_for(const config::Redirect& redirect, const http::RequestHead& request, http::Reply& reply) {
  std::string location = redirect.to;
  if (redirect.keep_path && request.target.starts_with('/')) {
    while (location.ends_with('/')) location.pop_back();
    location += request.target;
  }
  http::make_redirect(reply, redirect.status, location);
}

}  // namespace sallyport
