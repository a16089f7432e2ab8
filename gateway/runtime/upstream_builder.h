// Makes the servers of one service, and how they are reached and checked, out of what its file says; what was known of
// them before goes on. Any thread.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "config/model.h"
#include "runtime/context_builder.h"
#include "upstream/upstream.h"

namespace sallyport {

class UpstreamBuilder {
 public:
  // contexts must outlive this. cookie_secret: what sticky cookies are made with.
  UpstreamBuilder(ContextBuilder& contexts, std::string_view cookie_secret)
      : contexts_(contexts), cookie_secret_(cookie_secret) {}

  // old: of the service of that name in the snapshot before; may be null. listener_port: for servers written without
  // one.
  Result<std::unique_ptr<Upstream>> build(const config::Service& wanted, const Upstream* old, uint16_t listener_port);
  // What else than its settings goes into it: equal as long as the files are that it names.
  std::string materials(const config::Service& wanted) const;

 private:
  Status add_server_tls(Upstream& upstream, const config::Service& wanted);
  Status add_health_tls(Upstream& upstream, const config::Service& wanted);
  void add_sticky(Upstream& upstream, const config::Service& wanted, const Upstream* old) const;

  ContextBuilder& contexts_;
  std::string_view cookie_secret_;
};

}  // namespace sallyport
