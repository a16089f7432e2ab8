#include "layers/forward/proxy_header_for.h"

namespace sallyport {

std::string proxy_header_for(Client& client, const Service& service, const ProxyTlvs& tlvs) {
  std::string out;
  switch (service.config.proxy_protocol) {
    case config::ProxyProtocol::off: break;
    case config::ProxyProtocol::v1: append_proxy_v1(out, client.peer, client.local()); break;
    case config::ProxyProtocol::v2: append_proxy_v2(out, client.peer, client.local(), tlvs); break;
  }
  return out;
}

}  // namespace sallyport
