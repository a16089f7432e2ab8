#include "admin/explain_http.h"

#include <algorithm>

#include "admin/explain_certificate.h"
#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

using Sends = ExplainTarget::Sends;
using config::Mode;

const char* fit_text(HostFit fit) noexcept {
  return fit == HostFit::exact ? "exactly" : fit == HostFit::wildcard ? "by a wildcard" : "as any host";
}

}  // namespace

std::string quoted(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "\"" : ", \"") + word + "\"";
  return out;
}

void HttpExplainer::within_tls(const Door& door, const Service* tcp) {
  const std::string& listener = door.listener->name;
  const bool any = finder_.any(RouteKind::tls, listener);
  if (!any && tcp != nullptr) {
    story_.step("first bytes", "a TLS hello; the listener has no TLS services, but a tcp service");
    return relay(*tcp, "tls");
  }
  story_.put("protocol", "tls");
  story_.step("first bytes", about_.sni.empty() ? std::string("a TLS hello that names no host (SNI)")
                                                : format("a TLS hello for {} (SNI)", about_.sni));
  const HostGroup group = finder_.find(RouteKind::tls, listener, about_.sni);
  if (const RouteCandidate* whole = RouteFinder::whole_host(group); whole != nullptr && !whole->config().protocol_tcp) {
    story_.step("route",
                format("service \"{}\" has the name {} (\"{}\"): passed through, not decrypted", whole->config().name,
                       fit_text(group.fit), whole->pattern()),
                whole->host_position());
    losers(group, whole, nullptr);
    return relay(*whole->service, "tls");
  }
  if (!show_certificate(door, group)) return;
  if (const RouteCandidate* whole = RouteFinder::whole_host(group)) {
    story_.step("route",
                format("service \"{}\" has the name {} (\"{}\"): TLS ends here, and what is in it goes on",
                       whole->config().name, fit_text(group.fit), whole->pattern()),
                whole->host_position());
    losers(group, whole, nullptr);
    return relay(*whole->service, "tls");
  }
  if (target_.sends == Sends::tls)
    return story_.end("status", 400, "the connection is for HTTP, and what is no HTTP gets status 400");
  request_in_tls(door, group);
}

bool HttpExplainer::show_certificate(const Door& door, const HostGroup& group) {
  const std::string& listener = door.listener->name;
  if (!group.found() && !finder_.ends_tls(listener)) {
    elsewhere(listener, RouteKind::tls);
    story_.end("tls_alert", 0,
               format("alert unrecognized_name: no service on listener \"{}\" has this name", listener));
    return false;
  }
  const config::Service* first = group.found() ? &group.members.front().config() : nullptr;
  const auto shown = shown_certificate(finder_.snapshot(), first != nullptr ? first->certificate : "", about_.sni);
  if (!shown) {
    if (first == nullptr)
      elsewhere(listener, RouteKind::tls);
    else
      story_.chose(*first, group.members.front().written->at);
    story_.end(
        "tls_alert", 0,
        first != nullptr
            ? format("alert unrecognized_name: service \"{}\" has the name, but no certificate covers it", first->name)
            : format("alert unrecognized_name: no service on listener \"{}\" has this name", listener));
    return false;
  }
  story_.put("certificate", shown->file);
  story_.step("certificate", format("{}: {}{}", shown->file, shown->because,
                                    shown->valid ? "" : ". It has expired, or is not valid yet"));
  if (first == nullptr || !first->client_certificates.enabled()) return true;
  const bool required = first->client_certificates.verify == config::Verify::required;
  story_.put("client_certificate", required ? "required" : "optional");
  story_.step("client certificate", required ? "asked for: without one the handshake fails" : "asked for, not required",
              group.members.front().written->at);
  if (!required || about_.client_certificate) return true;
  story_.chose(*first, group.members.front().written->at);
  story_.end("tls_alert", 0, "alert certificate_required: the client shows no certificate");
  return false;
}

// The name of the handshake has chosen the certificate; the request's own host chooses the service.
void HttpExplainer::request_in_tls(const Door& door, const HostGroup& of_sni) {
  const std::string& listener = door.listener->name;
  const HostGroup group = target_.host == about_.sni ? of_sni : finder_.find(RouteKind::tls, listener, target_.host);
  if (!group.found()) {
    elsewhere(listener, RouteKind::tls);
    return story_.end("status", 421, format("421: no service on listener \"{}\" has host {}", listener, target_.host));
  }
  if (const RouteCandidate* whole = RouteFinder::whole_host(group)) {
    story_.lost(whole->config().name, "has the host, but not within this TLS connection");
    return story_.end(
        "status", 421,
        format("421: {} needs a TLS connection of its own, for service \"{}\"", target_.host, whole->config().name));
  }
  const config::ClientCertificates none;
  const auto& rule = group.members.front().config().client_certificates;
  if (!same_client_rule(of_sni.found() ? of_sni.members.front().config().client_certificates : none, rule)) {
    story_.lost(group.members.front().config().name, "has the host, under other client_certificates");
    return story_.end("status", 421,
                      format("421: {} is under other client_certificates than this connection", target_.host));
  }
  const auto found = RouteFinder::by_path(group, path_segments(target_.request));
  losers(group, found.candidate, found.candidate != nullptr ? &found.path : nullptr);
  if (found.candidate == nullptr)
    return story_.end("status", 404, format("404: {} is served here, but not this path", target_.host));
  serve(*found.candidate, &found.path);
}

void HttpExplainer::plain(const Door& door) {
  story_.put("protocol", "http");
  story_.step("first bytes", format("an HTTP request for {}", target_.host));
  const HostGroup group = finder_.find(RouteKind::plain, door.listener->name, target_.host);
  const auto found = RouteFinder::by_path(group, path_segments(target_.request));
  losers(group, found.candidate, found.candidate != nullptr ? &found.path : nullptr);
  if (found.candidate != nullptr) return serve(*found.candidate, &found.path);
  plain_of_https(door, group);
}

void HttpExplainer::plain_of_https(const Door& door, const HostGroup& plain) {
  const HostGroup group = finder_.find(RouteKind::of_https, {}, target_.host);
  const auto refuses = [](const RouteCandidate& member) {
    return member.config().mode != Mode::passthrough && member.config().plain_http == config::PlainHttp::refuse;
  };
  if (!group.found()) {
    elsewhere(door.listener->name, RouteKind::plain);
    return story_.end("status", 404,
                      plain.found() ? format("404: {} is served here, but not this path", target_.host)
                                    : format("404: nobody serves {}", target_.host));
  }
  const auto found = RouteFinder::by_path(group, path_segments(target_.request));
  if (found.candidate != nullptr) {
    const config::Service& service = found.candidate->config();
    if (service.mode != Mode::passthrough && service.plain_http == config::PlainHttp::serve) {
      story_.step("route", format("no http or redirect service has it; \"{}\" has plain_http: serve", service.name),
                  found.candidate->host_position());
      losers(group, found.candidate, &found.path);
      return serve(*found.candidate, &found.path);
    }
    if (refuses(*found.candidate)) {
      story_.chose(service, found.candidate->written->at);
      return story_.end("status", 404, format("404: service \"{}\" has plain_http: refuse", service.name));
    }
  } else if (std::all_of(group.members.begin(), group.members.end(), [&](const RouteCandidate& member) {
               return refuses(member) || (member.config().mode != Mode::passthrough &&
                                          member.config().plain_http == config::PlainHttp::serve);
             })) {
    return story_.end("status", 404, format("404: {} is served over TLS, but not redirected to it", target_.host));
  }
  redirect_to_https(group, found.candidate != nullptr ? *found.candidate : group.members.front());
}

}  // namespace sallyport
