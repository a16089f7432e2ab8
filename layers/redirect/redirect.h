// Answers without a server: the redirects a user wrote.
#pragma once
#include "config/model.h"
#include "http/message.h"
#include "http/reply.h"

namespace sallyport {

// keep_path: the request's path and query go behind `to`.
void make_redirect_for(const config::Redirect& redirect, const http::RequestHead& request, http::Reply& reply);

}  // namespace sallyport
