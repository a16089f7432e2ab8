#include "layers/redirect/redirect.h"

namespace sallyport {

void make_redirect_for(const config::Redirect& redirect, const http::RequestHead& request, http::Reply& reply) {
  std::string_view to = redirect.to;
  std::string_view path;
  if (redirect.keep_path && request.target.starts_with('/')) {
    while (to.ends_with('/')) to.remove_suffix(1);
    path = request.target;
  }
  http::make_redirect(reply, redirect.status, {to, path});
}

}  // namespace sallyport
