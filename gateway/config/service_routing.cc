// How a client's connection or request finds the service, and what it is met with there.
#include <algorithm>
#include <set>

#include "base/format.h"
#include "base/text.h"
#include "config/parse_service.h"
#include "config/service_parts.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

constexpr size_t kMostListeners = 64;
constexpr size_t kMostHeaders = 256;

// A service's edit of a header replaces the default's of the same name.
void put(std::vector<std::pair<std::string, std::string>>& headers, std::string name, std::string value) {
  for (auto& [known, old] : headers) {
    if (!equal_ignoring_case(known, name)) continue;
    old = std::move(value);
    return;
  }
  headers.emplace_back(std::move(name), std::move(value));
}

}  // namespace

std::string certificate_path(const Reader& reader, const std::string& certificates, const std::string& written) {
  if (written.find('/') == std::string::npos) return (std::filesystem::path(certificates) / written).string();
  return reader.absolute(written);
}

bool ServiceParts::means_something(unsigned kinds, const YamlNode& key, std::string_view parent) {
  if ((draft_.kind & kinds) != 0) return true;
  if (!draft_.inherited())
    reader_.error(key, format("{} in {} means nothing in {}", quote(key.value), quote(parent), kind_text(draft_.kind)));
  return false;
}

void ServiceParts::certificate_file(const YamlNode& node, std::string& out) {
  const auto written = reader_.text(node);
  if (written && written->empty())
    reader_.error(node, "expected the name of a file, found nothing");
  else if (written)
    out = certificate_path(reader_, certificates_, *written);
}

void ServiceParts::listen(const YamlNode& value, const YamlNode&) {
  draft_.listen.clear();
  draft_.listen_written = true;
  if (value.is_list() && value.items.empty()) reader_.error(value, "\"listen\" names at least one listener");
  const std::vector<const YamlNode*> items = value.is_list() ? value.items : std::vector{&value};
  if (items.size() > kMostListeners) return reader_.error(value, format("more than {} listeners", kMostListeners));
  for (const YamlNode* item : items) {
    const auto written = reader_.text(*item);
    if (!written) continue;
    Draft::Listen listen;
    listen.at = item->position();
    listen.inherited = draft_.inherited();
    if (written->find(':') == std::string::npos) {
      listen.name = *written;
    } else {
      auto bind = parse_bind(*written);
      if (!bind) {
        reader_.error(*item, bind.error().detail);
        continue;
      }
      listen.bind = std::move(*bind);
      listen.bind.at = listen.at;
    }
    draft_.listen.push_back(std::move(listen));
  }
}

void ServiceParts::hosts(const YamlNode& value, const YamlNode&) {
  Service& service = draft_.service;
  if (!reader_.list(value)) return;
  if (value.items.empty()) reader_.error(value, "\"hosts\" is empty; leave it out for any host");
  std::set<std::string> seen;
  for (const YamlNode* item : value.items) {
    auto host = reader_.value(*item, parse_host);
    if (!host) continue;
    if (!seen.insert(*host).second) {
      reader_.error(*item, format("the host {} is written twice", quote(*host)));
      continue;
    }
    service.hosts.push_back(std::move(*host));
    service.host_positions.push_back(item->position());
  }
}

void ServiceParts::paths(const YamlNode& value, const YamlNode&) {
  if (!reader_.list(value)) return;
  if (value.items.empty()) reader_.error(value, "\"paths\" is empty; leave it out for any path");
  std::set<std::string> seen;
  for (const YamlNode* item : value.items) {
    auto path = reader_.value(*item, parse_path);
    if (!path) continue;
    if (seen.insert(*path).second)
      draft_.service.paths.push_back(std::move(*path));
    else
      reader_.error(*item, format("the path {} is written twice", quote(*path)));
  }
}

void ServiceParts::plain_http(const YamlNode& value, const YamlNode&) {
  static constexpr Word<PlainHttp> kWords[] = {
      {"redirect", PlainHttp::redirect}, {"serve", PlainHttp::serve}, {"refuse", PlainHttp::refuse}};
  const auto word = reader_.word(value, "plain_http", kWords);
  if (!word) return;
  if (*word == PlainHttp::serve && (draft_.kind & (kEdge | kReencrypt)) == 0) {
    if (!draft_.inherited()) reader_.error(value, "\"plain_http: serve\" means nothing with protocol: tcp");
    return;
  }
  draft_.service.plain_http = *word;
}

void ServiceParts::redirect(const YamlNode& value, const YamlNode&) {
  static constexpr Word<int> kStatus[] = {{"301", 301}, {"302", 302}, {"303", 303}, {"307", 307}, {"308", 308}};
  Redirect& to = draft_.service.redirect;
  draft_.redirect_at = value.position();
  reader_.fields(value, "redirect",
                 {
                     {"to",
                      [&](const YamlNode& v, const YamlNode&) {
                        draft_.to_written = true;
                        draft_.redirect_at = v.position();
                        if (auto url = reader_.value(v, parse_redirect_target)) to.to = std::move(*url);
                      }},
                     {"status",
                      [&](const YamlNode& v, const YamlNode&) {
                        if (auto status = reader_.word(v, "status", kStatus)) to.status = *status;
                      }},
                     {"keep_path",
                      [&](const YamlNode& v, const YamlNode&) {
                        if (auto keep = reader_.boolean(v)) to.keep_path = *keep;
                      }},
                 });
}

void ServiceParts::headers(const YamlNode& value, const YamlNode&) {
  reader_.fields(
      value, "headers",
      {
          {"request",
           [&](const YamlNode& v, const YamlNode&) { header_edits(v, "request", draft_.service.request_headers); }},
          {"response",
           [&](const YamlNode& v, const YamlNode&) { header_edits(v, "response", draft_.service.response_headers); }},
      });
}

void ServiceParts::header_edits(const YamlNode& node, std::string_view what, HeaderEdits& edits) {
  reader_.fields(node, what,
                 {
                     {"set", [&](const YamlNode& v, const YamlNode&) { header_values(v, "set", edits.set); }},
                     {"add", [&](const YamlNode& v, const YamlNode&) { header_values(v, "add", edits.add); }},
                     {"remove",
                      [&](const YamlNode& v, const YamlNode&) {
                        if (auto names = reader_.values(v, parse_header_name)) edits.remove = std::move(*names);
                      }},
                 });
}

void ServiceParts::header_values(const YamlNode& node, std::string_view what,
                                 std::vector<std::pair<std::string, std::string>>& out) {
  std::set<std::string> seen;
  const std::vector<YamlNode::Entry> entries = reader_.entries(node, what);
  if (entries.size() > kMostHeaders) return reader_.error(node, format("more than {} headers", kMostHeaders));
  for (const YamlNode::Entry& entry : entries) {
    auto name = parse_header_name(entry.key->value);
    if (!name) {
      reader_.error(*entry.key, name.error().detail);
      continue;
    }
    if (!seen.insert(to_lower(*name)).second) {
      reader_.error(*entry.key, format("the header {} is written twice", quote(*name)));
      continue;
    }
    auto text = reader_.text(*entry.value);
    if (!text) continue;
    if (!is_header_value(*text))
      reader_.error(*entry.value,
                    format("the value of {} holds a line end or another control character, begins or ends "
                           "with a space, or is longer than 8 KiB",
                           quote(*name)));
    else
      put(out, std::move(*name), std::move(*text));
  }
}

void ServiceParts::access(const YamlNode& value, const YamlNode&) {
  Access& access = draft_.service.access;
  const auto networks = [&](std::vector<Network>& out) {
    return [this, &out](const YamlNode& v, const YamlNode&) {
      if (auto list = reader_.values(v, parse_network)) out = std::move(*list);
    };
  };
  reader_.fields(value, "access", {{"allow", networks(access.allow)}, {"deny", networks(access.deny)}});
}

void ServiceParts::certificate(const YamlNode& value, const YamlNode&) {
  certificate_file(value, draft_.service.certificate);
}

void ServiceParts::client_certificates(const YamlNode& value, const YamlNode&) {
  static constexpr Word<Verify> kWords[] = {{"required", Verify::required}, {"optional", Verify::optional}};
  ClientCertificates& to = draft_.service.client_certificates;
  if (!draft_.inherited()) draft_.client_certificates_at = value.position();
  reader_.fields(value, "client_certificates",
                 {
                     {"ca", [&](const YamlNode& v, const YamlNode&) { certificate_file(v, to.ca); }},
                     {"verify",
                      [&](const YamlNode& v, const YamlNode&) {
                        if (auto verify = reader_.word(v, "verify", kWords)) to.verify = *verify;
                      }},
                     {"crl", [&](const YamlNode& v, const YamlNode&) { certificate_file(v, to.crl); }},
                 });
}

}  // namespace sallyport::config
