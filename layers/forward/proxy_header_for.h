// Tells a server who the client is, with the PROXY protocol.
#pragma once
#include <string>

#include "layers/layer.h"
#include "layers/service.h"
#include "net/proxy_header.h"

namespace sallyport {

// Empty when the service's servers want no header.
std::string proxy_header_for(Client& client, const Service& service, const ProxyTlvs& tlvs);

}  // namespace sallyport
