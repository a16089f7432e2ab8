#include "admin/lookup.h"

#include <algorithm>
#include <vector>

#include "admin/service_json.h"
#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

constexpr size_t kMostCandidates = 2000;  // for a guess at what was meant

Error not_found(std::string text) { return {Kind::unavailable, Side::client, Retry::no, 0, "", std::move(text)}; }

std::string meant(std::string_view word, const std::vector<std::string>& names) {
  std::vector<std::string_view> views(names.begin(), names.end());
  const std::string_view near = nearest_word(word, views);
  return near.empty() ? std::string() : format("; did you mean \"{}\"?", near);
}

}  // namespace

const Service* find_service(const Snapshot& snapshot, std::string_view name) noexcept {
  for (const auto& service : snapshot.services)
    if (service->config.name == name) return service.get();
  return nullptr;
}

std::string no_service(const Snapshot& snapshot, std::string_view name) {
  const auto& left_out = snapshot.config.left_out;
  if (std::find(left_out.begin(), left_out.end(), name) != left_out.end())
    return format("service \"{}\" is left out, as its file has a fault", name);
  std::vector<std::string> names;
  for (size_t i = 0; i < snapshot.services.size() && i < kMostCandidates; ++i)
    names.push_back(snapshot.services[i]->config.name);
  return format("there is no service \"{}\"{}", escaped(name, 64), meant(name, names));
}

Result<std::shared_ptr<Endpoint>> find_server(const Service& service, std::string_view name) {
  if (!service.upstream)
    return not_found(format("service \"{}\" is a redirect: it has no servers", service.config.name));
  std::vector<std::string> names;
  for (const auto& endpoint : service.upstream->endpoints) {
    if (!is_shown(*endpoint)) continue;
    if (endpoint->label() == name) return endpoint;
    names.push_back(endpoint->label());
  }
  for (const auto& endpoint : service.upstream->endpoints)
    if (endpoint->place() == Endpoint::kNoPlace && endpoint->name() == name) return endpoint;
  for (const auto& server : service.config.servers) names.push_back(server.name);
  return not_found(format("service \"{}\" has no server \"{}\"{}", service.config.name, escaped(name, 64), meant(name, names)));
}

Result<Page> page_of(std::string_view offset, std::string_view limit, size_t usual, size_t most) {
  Page page{0, usual};
  const auto take = [](std::string_view text, size_t& into) {
    if (text.empty()) return true;
    const auto number = parse_number(text);
    if (number) into = static_cast<size_t>(*number);
    return number.has_value();
  };
  if (!take(offset, page.offset) || !take(limit, page.limit) || page.limit > most)
    return not_found(format("`limit` is a number up to {}, `offset` a number", most));
  return page;
}

}  // namespace sallyport
