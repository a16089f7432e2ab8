#include "layers/rules.h"

#include <algorithm>

namespace sallyport {
namespace {

std::string_view without_slash(std::string_view path) noexcept {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path == "/" ? std::string_view{} : path;
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

bool is_unreserved(char c) noexcept {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
}

char upper(char c) noexcept { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c; }

bool is_normal(std::string_view path) noexcept {
  if (path.find('%') != std::string_view::npos || path.find("//") != std::string_view::npos) return false;
  return path.find("/.") == std::string_view::npos;
}

}  // namespace

std::string_view normalized_path(std::string_view path, std::string& storage) {
  if (is_normal(path)) return path;
  std::string decoded;
  decoded.reserve(path.size());
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%' && i + 2 < path.size()) {
      int high = hex_value(path[i + 1]);
      int low = hex_value(path[i + 2]);
      auto value = static_cast<char>(high * 16 + low);
      if (high >= 0 && low >= 0 && is_unreserved(value)) {
        decoded += value;
        i += 2;
        continue;
      }
      if (high >= 0 && low >= 0) {
        decoded += '%';
        decoded += upper(path[i + 1]);
        decoded += upper(path[i + 2]);
        i += 2;
        continue;
      }
    }
    decoded += path[i];
  }
  storage.clear();
  size_t at = 0;
  while (at < decoded.size()) {
    while (at < decoded.size() && decoded[at] == '/') ++at;
    size_t end = std::min(decoded.find('/', at), decoded.size());
    std::string_view segment = std::string_view(decoded).substr(at, end - at);
    bool last = end == decoded.size();
    if (segment == "..") {
      size_t slash = storage.rfind('/');
      storage.resize(slash == std::string::npos ? 0 : slash);
    } else if (!segment.empty() && segment != ".") {
      storage += '/';
      storage += segment;
    }
    if (last && (segment.empty() || segment == "." || segment == "..")) storage += '/';
    at = end;
  }
  if (storage.empty()) storage = "/";
  return storage;
}

bool PathTable::add(const std::string& path, const Service* service) {
  std::string storage;
  std::string_view key = without_slash(normalized_path(path, storage));
  if (key.empty()) {
    if (root_ != nullptr) return false;
    root_ = service;
    return true;
  }
  return by_path_.try_emplace(std::string(key), service).second;
}

const Service* PathTable::find(std::string_view target_path) const {
  if (by_path_.empty()) return root_;
  std::string storage;
  return find_normalized(normalized_path(target_path, storage));
}

const Service* PathTable::find_normalized(std::string_view path) const noexcept {
  for (;;) {
    path = without_slash(path);
    if (path.empty()) return root_;
    if (auto it = by_path_.find(path); it != by_path_.end()) return it->second;
    // "*" (OPTIONS) has no slash: only the root is left for it.
    size_t slash = path.rfind('/');
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
  }
}

Route route_tls(const ListenerRules& rules, std::string_view host, std::string_view path,
                std::string_view client_rule) {
  Route route;
  const TlsHost* found = rules.tls.find(host);
  if (found == nullptr || found->passthrough != nullptr || found->tcp != nullptr || found->client_rule != client_rule) {
    route.status = 421;
    return route;
  }
  route.service = found->paths.find(path);
  if (route.service == nullptr) return route;
  route.kind = route.service->config.mode == config::Mode::redirect ? Route::Kind::redirect : Route::Kind::proxy;
  return route;
}

Route route_plain(const ListenerRules& rules, std::string_view host, std::string_view path) {
  Route route;
  const PlainHost* found = rules.plain.find(host);
  if (found != nullptr) {
    route.service = found->paths.find(path);
    if (route.service != nullptr) {
      route.kind = route.service->config.mode == config::Mode::redirect ? Route::Kind::redirect : Route::Kind::proxy;
      return route;
    }
  }
  const PlainFallback* tls = rules.plain_fallback != nullptr ? rules.plain_fallback->find(host) : nullptr;
  if (tls == nullptr) return route;
  const Service* service = tls->paths.find(path);
  const auto wants = [service](config::PlainHttp what) {
    return service != nullptr && service->config.plain_http == what;
  };
  if (wants(config::PlainHttp::serve)) {
    route.service = service;
    route.kind = Route::Kind::proxy;
  } else if (!wants(config::PlainHttp::refuse) && tls->https_port != 0 && !host.empty()) {
    route.kind = Route::Kind::to_https;
    route.https_port = tls->https_port;
  }
  return route;
}

}  // namespace sallyport
