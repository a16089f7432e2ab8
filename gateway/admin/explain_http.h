// What becomes of a client once the listener is known: TLS, requests, and the way to the servers.
#pragma once
#include <string>
#include <vector>

#include "admin/explain_door.h"
#include "admin/explain_routes.h"
#include "admin/explain_story.h"
#include "admin/explain_target.h"

namespace sallyport {

// Who asks, and how.
struct ExplainAbout {
  Address from, to, via;  // empty: not told
  std::string method;
  std::string sni;  // of the hello; empty: none
  bool client_certificate = true;
};

class HttpExplainer {
 public:
  // All outlive it; target may still change.
  HttpExplainer(const RouteFinder& finder, Story& story, const ExplainTarget& target, const ExplainAbout& about)
      : finder_(finder), story_(story), target_(target), about_(about) {}

  // tcp: the listener's tcp service, if any.
  void within_tls(const Door& door, const Service* tcp);
  void plain(const Door& door);
  // Bytes go on as they are. protocol: what the first bytes are.
  void relay(const Service& service, const char* protocol);

 private:
  bool show_certificate(const Door& door, const HostGroup& group);
  void request_in_tls(const Door& door, const HostGroup& of_sni);
  void plain_of_https(const Door& door, const HostGroup& plain);
  void redirect_to_https(const HostGroup& group, const RouteCandidate& first);
  uint16_t https_port(const HostGroup& group) const;
  void serve(const RouteCandidate& candidate, const PathMatch* path);
  bool admitted(const config::Service& service, bool http);
  void servers(const Service& service, bool http);
  void losers(const HostGroup& group, const RouteCandidate* winner, const PathMatch* path);
  void elsewhere(std::string_view listener, RouteKind kind);

  const RouteFinder& finder_;
  Story& story_;
  const ExplainTarget& target_;
  const ExplainAbout& about_;
};

std::string quoted(const std::vector<std::string>& words);

}  // namespace sallyport
