#include "config/listeners.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/format.h"
#include "base/text.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

constexpr uint32_t kKiB = 1024;
constexpr uint32_t kMiB = 1024 * kKiB;

// `off`, `on`, or the limits of a client's connection. The least values are what browsers and gRPC still work with; the
// most keep what one connection can cost within reason.
void read_http2(Reader& reader, const YamlNode& node, Http2& to) {
  if (node.is_scalar()) {
    const auto written = reader.text(node);
    if (!written) return;
    if (*written != "on" && *written != "off")
      return reader.error(node,
                          format("expected on, off or {{ max_concurrent_streams: … }}, found {}", quote(*written)));
    to.enabled = *written == "on";
    return;
  }
  const auto number = [&reader](std::string_view name, uint32_t least, uint32_t most, uint32_t& out) {
    return Field{name, [&reader, least, most, &out](const YamlNode& v, const YamlNode&) {
                   out = reader.number(v, least, most).value_or(out);
                 }};
  };
  std::optional<uint32_t> connection_window;
  Position window_at;
  reader.fields(
      node, "http2",
      {
          number("max_concurrent_streams", 1, 1'000, to.max_concurrent_streams),
          number("max_headers", 10, 2'000, to.max_headers),
          number("max_resets", 10, 1'000'000, to.max_resets),
          number("max_control_frames", 100, 1'000'000, to.max_control_frames),
          {"max_header_list",
           [&](const YamlNode& v, const YamlNode&) {
             to.max_header_list = reader.size(v, 4 * kKiB, 256 * kKiB).value_or(to.max_header_list);
           }},
          {"stream_window",
           [&](const YamlNode& v, const YamlNode&) {
             to.stream_window = reader.size(v, 16 * kKiB, 8 * kMiB).value_or(to.stream_window);
             window_at = v.position();
           }},
          {"connection_window",
           [&](const YamlNode& v, const YamlNode&) { connection_window = reader.size(v, 64 * kKiB, 64 * kMiB); }},
      });
  to.connection_window = connection_window.value_or(std::max(to.connection_window, to.stream_window));
  if (to.stream_window > to.connection_window)
    reader.error(window_at.line > 0 ? window_at : node.position(),
                 format("stream_window ({}) is more than connection_window ({}): no stream could use it",
                        size_text(to.stream_window), size_text(to.connection_window)));
}

Listener built_in(const char* name, const char* text) {
  Listener listener;
  listener.name = name;
  if (auto bind = parse_bind(text)) listener.binds.push_back(std::move(*bind));
  return listener;
}

}  // namespace

Listeners::Listeners() {
  for (const auto& [name, bind] : {std::pair("http", ":80"), std::pair("https", ":443"), std::pair("ssh", ":22")})
    slot(name) = built_in(name, bind);
  index();
}

const Listener* Listeners::find(std::string_view name) const noexcept {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &all_[found->second];
}

Listener& Listeners::slot(const std::string& name) {
  const auto [found, fresh] = names_.emplace(name, all_.size());
  if (fresh) all_.emplace_back().name = name;
  return all_[found->second];
}

// Which listener has a bind: the user's own goes before the built-in ssh, which is there for want of another.
void Listeners::index() {
  by_bind_.clear();
  for (const Listener& listener : all_) {
    if (listener.off) continue;
    for (const Bind& bind : listener.binds) {
      const auto [first, fresh] = by_bind_.emplace(bind.text, listener.name);
      if (!fresh && first->second == "ssh" && !ssh_written_) first->second = listener.name;
    }
  }
}

void Listeners::read(Reader& reader, const YamlNode& node) {
  for (const YamlNode::Entry& entry : reader.entries(node, "listeners")) read_one(reader, *entry.key, *entry.value);
  refuse_shared_binds(reader);
  index();
}

void Listeners::read_one(Reader& reader, const YamlNode& key, const YamlNode& value) {
  if (!is_plain_name(key.value)) {
    reader.error(key, format("the name of a listener is 1 to 64 letters, digits, \"-\", \"_\" and \".\", found {}",
                             quote(key.value)));
    return;
  }
  const bool known = find(key.value) != nullptr;
  Listener& listener = slot(key.value);
  listener.at = key.position();
  if (key.value == "ssh") ssh_written_ = true;
  if (value.is_scalar()) {
    const auto written = reader.text(value);
    if (written && *written == "off")
      listener.off = true;
    else if (written)
      reader.error(value, format("expected {{ bind: … }} or off, found {}", quote(*written)));
    return;
  }
  bool has_bind = known;
  reader.fields(value, "a listener",
                {
                    {"bind",
                     [&](const YamlNode& v, const YamlNode&) {
                       has_bind = true;
                       read_binds(reader, v, listener);
                     }},
                    {"public_port",
                     [&](const YamlNode& v, const YamlNode&) {
                       if (auto port = reader.number(v, 1, 65535)) listener.public_port = static_cast<uint16_t>(*port);
                     }},
                    {"accept_proxy",
                     [&](const YamlNode& v, const YamlNode&) {
                       if (auto peers = reader.values(v, parse_network)) listener.accept_proxy = std::move(*peers);
                     }},
                    {"max_connections",
                     [&](const YamlNode& v, const YamlNode&) {
                       if (auto most = reader.number(v, 1, 10'000'000)) listener.max_connections = *most;
                     }},
                    {"http2", [&](const YamlNode& v, const YamlNode&) { read_http2(reader, v, listener.http2); }},
                });
  if (!has_bind) reader.error(key, format("the listener {} needs \"bind\"", quote(key.value)));
}

void Listeners::read_binds(Reader& reader, const YamlNode& node, Listener& listener) {
  listener.binds.clear();
  if (node.is_list() && node.items.empty())
    reader.error(node, "a listener needs at least one address; \"off\" removes it");
  const std::vector<const YamlNode*> items = node.is_list() ? node.items : std::vector{&node};
  for (const YamlNode* item : items) {
    auto bind = reader.value(*item, parse_bind);
    if (!bind) continue;
    bind->at = item->position();
    listener.binds.push_back(std::move(*bind));
  }
}

void Listeners::refuse_shared_binds(Reader& reader) {
  std::map<std::string, const Listener*> taken;
  for (const Listener& listener : all_) {
    if (listener.off) continue;
    for (const Bind& bind : listener.binds) {
      if (bind.address.is_ip() && bind.address.port() == 0) continue;
      const auto [first, fresh] = taken.emplace(bind.text, &listener);
      if (fresh) continue;
      const bool own = first->second == &listener;
      // The built-in ssh listener exists only for services that name it: the user's listener on its port goes before
      // it.
      if (first->second->name == "ssh" && !ssh_written_) {
        first->second = &listener;
        continue;
      }
      const Position& at = bind.at.line > 0 ? bind.at : first->second->at;
      reader.error(at, own ? format("{} is written twice", quote(bind.text))
                           : format("{} is already the address of the listener {}", quote(bind.text),
                                    quote(first->second->name)));
    }
  }
}

std::string Listeners::at(const Bind& bind) {
  if (const auto known = by_bind_.find(bind.text); known != by_bind_.end()) return known->second;
  Listener& listener = slot(bind.text);
  listener.binds = {bind};
  listener.inline_bind = true;
  listener.at = bind.at;
  by_bind_.emplace(bind.text, listener.name);
  return listener.name;
}

std::string Listeners::named(std::string_view name) {
  const Listener* listener = find(name);
  if (listener == nullptr || listener->inline_bind) return {};
  if (name == "ssh" && !ssh_written_) return at(Bind(listener->binds.front()));
  return listener->name;
}

std::string Listeners::unknown(std::string_view name) const {
  std::vector<std::string_view> names;
  for (const Listener& listener : all_)
    if (!listener.inline_bind && !listener.off) names.push_back(listener.name);
  const std::string_view near = nearest_word(name, names);
  if (!near.empty()) return format("unknown listener {}; did you mean {}?", quote(name), quote(near));
  return format("unknown listener {}; gateway.yaml names listeners, and an address such as \":5432\" needs no name",
                quote(name));
}

std::vector<Listener> Listeners::take(std::span<const Service> services, std::span<const Service> kept) {
  std::set<std::string_view> named;
  for (const std::span<const Service> some : {services, kept})
    for (const Service& service : some) named.insert(service.listeners.begin(), service.listeners.end());
  std::vector<Listener> out;
  for (Listener& listener : all_) {
    const bool on_demand = listener.inline_bind || (listener.name == "ssh" && !ssh_written_);
    if (!listener.off && (!on_demand || named.count(listener.name) > 0)) out.push_back(listener);
  }
  return out;
}

}  // namespace sallyport::config
