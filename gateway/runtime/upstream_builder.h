// Makes the servers of one service, and how they are reached and checked, out of what its file says; what was known of
// them before goes on. Any thread.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "runtime/context_builder.h"
#include "upstream/upstream.h"

namespace sallyport {

// To be done when the snapshot is published: building one changes nothing that serves.
struct EndpointRewrite {
  std::shared_ptr<Endpoint> endpoint;
  Endpoint::Written now;
};

class UpstreamBuilder {
 public:
  // contexts must outlive this. cookie_secret: what sticky cookies are made with. rewrites: where to add what changes
  // about servers that go on.
  UpstreamBuilder(ContextBuilder& contexts, std::string_view cookie_secret, std::vector<EndpointRewrite>& rewrites)
      : contexts_(contexts), cookie_secret_(cookie_secret), rewrites_(rewrites) {}

  // old: of the service of that name in the snapshot before; may be null. listener_port: for servers written without
  // one.
  Result<std::unique_ptr<Upstream>> build(const config::Service& wanted, const Upstream* old, uint16_t listener_port);
  // What else than its settings goes into it: equal as long as the files are that it names.
  std::string materials(const config::Service& wanted) const;

 private:
  Status add_server_tls(Upstream& upstream, const config::Service& wanted);
  Status add_health_tls(Upstream& upstream, const config::Service& wanted);
  std::shared_ptr<Endpoint> known(const Upstream* old, std::shared_ptr<Endpoint> fresh);
  void add_endpoints(Upstream& upstream, const config::Service& service, const config::Server& server, uint16_t port,
                     const Upstream* old);
  void add_sticky(Upstream& upstream, const config::Service& wanted, const Upstream* old) const;

  ContextBuilder& contexts_;
  std::string_view cookie_secret_;
  std::vector<EndpointRewrite>& rewrites_;
};

}  // namespace sallyport
