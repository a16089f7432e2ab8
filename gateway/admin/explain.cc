#include "admin/explain.h"

#include <algorithm>

#include "admin/explain_door.h"
#include "admin/explain_http.h"
#include "admin/explain_target.h"
#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

using Sends = ExplainTarget::Sends;
using config::Mode;

class Explainer {
 public:
  Explainer(const Snapshot& snapshot, ExplainTarget target, ExplainAbout about, const ExplainRequest& request)
      : finder_(snapshot),
        target_(std::move(target)),
        about_(std::move(about)),
        story_(request.target),
        http_(finder_, story_, target_, about_) {}

  nlohmann::ordered_json run() {
    tell();
    return story_.take();
  }

 private:
  void tell() {
    if (!come_in()) return;
    const Service* ssh = finder_.of_mode(listener(), Mode::ssh);
    const Service* tcp = finder_.of_mode(listener(), Mode::tcp);
    const bool others = finder_.any(RouteKind::tls, listener()) || finder_.any(RouteKind::plain, listener());
    const bool alone = !others && (ssh == nullptr) != (tcp == nullptr);
    if (!pass_proxy_header(alone)) return;
    if (alone) {
      story_.step("first bytes", "are not waited for: the listener has this one service alone");
      return http_.relay(ssh != nullptr ? *ssh : *tcp, ssh != nullptr ? "ssh" : "tcp");
    }
    if (target_.sends == Sends::not_told) guess(ssh, tcp);
    switch (target_.sends) {
      case Sends::https:
      case Sends::tls: return http_.within_tls(door_, tcp);
      case Sends::http: return plain_http(tcp, others);
      case Sends::ssh:
        if (ssh == nullptr) break;
        story_.step("first bytes", "\"SSH-2.0-\", or two seconds of silence: for the listener's ssh service");
        return http_.relay(*ssh, "ssh");
      case Sends::other:
      case Sends::not_told: break;
    }
    const char* what =
        target_.sends == Sends::ssh ? "\"SSH-2.0-\", and the listener has no ssh service" : "neither TLS, HTTP nor SSH";
    story_.put("protocol", target_.sends == Sends::ssh ? "ssh" : "tcp");
    if (tcp != nullptr) {
      story_.step("first bytes", format("{}: for the listener's tcp service", what));
      return http_.relay(*tcp, target_.sends == Sends::ssh ? "ssh" : "tcp");
    }
    story_.step("first bytes", what);
    story_.end("closed", 0, format("closed: no service on listener \"{}\" takes such bytes", listener()));
  }

  bool come_in() {
    auto door = find_door(finder_.snapshot().config, target_, about_.to);
    if (!door) {
      const std::string where = about_.to.empty() ? "" : format(" at {}", about_.to.ip_text());
      story_.end("closed", 0, format("nobody listens on port {}{}", target_.port, where));
      for (const auto& service : finder_.snapshot().services)
        if (match_host(service->config.hosts, target_.host).fit == HostFit::exact)
          story_.lost(service->config.name, format("listens on {}", quoted(service->config.listeners)));
      return false;
    }
    door_ = *door;
    story_.put("listener", listener());
    const config::Listener& found = *door_.listener;
    const bool translated = target_.port != door_.bind->address.port();
    story_.step("listener",
                format("port {} belongs to listener \"{}\"{}", target_.port, found.name,
                       translated ? format(" (public_port of {})", door_.bind->text) : ""),
                door_.bind->at.line > 0 ? door_.bind->at : found.at);
    if (!door_.sure) {
      std::vector<std::string> names;
      for (const config::Listener* other : door_.others) names.push_back(other->name);
      story_.step("listener",
                  format("{} has that port too, at another address; --to says which is meant", quoted(names)));
    }
    return true;
  }

  // alone: the listener has one ssh or tcp service, and looks at no byte of who need not send a header.
  bool pass_proxy_header(bool alone) {
    const auto& peers = door_.listener->accept_proxy;
    const Address& peer = about_.via.empty() ? about_.from : about_.via;
    if (peers.empty()) {
      if (about_.via.empty()) return true;
      story_.step("proxy", "the listener takes no PROXY header (accept_proxy): it is bytes like any others");
      target_.sends = Sends::other;
      about_.from = about_.via;
      return true;
    }
    if (peer.empty()) {
      story_.step("proxy", "peers in accept_proxy must send the PROXY header, others must not; --from says who asks");
      return true;
    }
    const bool listed = std::any_of(peers.begin(), peers.end(), [&](const Network& n) { return n.contains(peer); });
    const std::string who = peer.ip_text();
    if (listed && !about_.via.empty()) {
      story_.step("proxy", format("{} is in accept_proxy: the client is {}, as its PROXY header says", who,
                                  about_.from.empty() ? "who it names" : about_.from.ip_text()));
      return true;
    }
    if (!listed && alone) {
      story_.step("proxy", format("{} is not in accept_proxy: what it sends goes on as it is", who));
      about_.from = peer;
      return true;
    }
    if (!listed && about_.via.empty()) {
      story_.step("proxy", format("{} is not in accept_proxy: it comes without a PROXY header", who));
      return true;
    }
    story_.end("closed", 0,
               listed ? format("closed: {} is in accept_proxy and must send the PROXY header", who)
                      : format("closed: {} is not in accept_proxy and may not send a PROXY header", who));
    return false;
  }

  // HOST:PORT does not tell what is spoken: what the listener has for the name does.
  void guess(const Service* ssh, const Service* tcp) {
    const HostGroup tls = finder_.find(RouteKind::tls, listener(), target_.host);
    if (tls.found()) {
      const RouteCandidate* whole = RouteFinder::whole_host(tls);
      target_.sends = whole != nullptr && whole->config().protocol_tcp ? Sends::tls : Sends::https;
    } else if (finder_.find(RouteKind::plain, listener(), target_.host).found()) {
      target_.sends = Sends::http;
    } else if (ssh != nullptr && (tcp == nullptr || target_.port == 22)) {
      target_.sends = Sends::ssh;
    } else if (tcp != nullptr) {
      target_.sends = Sends::other;
    } else {
      target_.sends = finder_.any(RouteKind::tls, listener()) ? Sends::https : Sends::http;
    }
    const char* taken = target_.sends == Sends::https  ? "HTTPS"
                        : target_.sends == Sends::tls  ? "TLS"
                        : target_.sends == Sends::http ? "HTTP"
                        : target_.sends == Sends::ssh  ? "SSH"
                                                       : "neither TLS, HTTP nor SSH";
    story_.step("target", format("what the client speaks is not told; taken for {} by what is here. "
                                 "https://, http://, ssh://, tls:// and tcp:// tell",
                                 taken));
  }

  void plain_http(const Service* tcp, bool others) {
    if (!others && tcp != nullptr) {
      story_.step("first bytes", "an HTTP request; the listener has neither HTTP nor TLS services, but a tcp service");
      return http_.relay(*tcp, "http");
    }
    http_.plain(door_);
  }

  const std::string& listener() const noexcept { return door_.listener->name; }

  RouteFinder finder_;
  ExplainTarget target_;
  ExplainAbout about_;
  Story story_;
  HttpExplainer http_;
  Door door_;
};

}  // namespace

nlohmann::ordered_json explain(const Snapshot& snapshot, const ExplainRequest& request) {
  auto target = parse_explain_target(request.target);
  if (!target) return {{"error", target.error().detail}};
  ExplainAbout about;
  for (const auto& [text, to] : {std::pair(&request.from, &about.from), std::pair(&request.to, &about.to),
                                 std::pair(&request.via, &about.via)}) {
    if (text->empty()) continue;
    auto ip = Address::parse_ip(*text, 0);
    if (!ip) return {{"error", format("\"{}\" is no IP address", escaped(*text, 100))}};
    *to = ip->unmapped();
  }
  about.method = request.method;
  about.sni = request.sni == "-"     ? ""
              : !request.sni.empty() ? to_lower(request.sni)
              : target->is_ip        ? ""
                                     : target->host;
  about.client_certificate = request.client_certificate;
  return Explainer(snapshot, std::move(*target), std::move(about), request).run();
}

}  // namespace sallyport
