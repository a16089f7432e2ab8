#include "upstream/endpoint.h"

#include <utility>

namespace sallyport {

uint64_t stable_hash(std::string_view bytes, uint64_t seed) noexcept {
  uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  for (char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdULL;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53ULL;
  return hash ^ (hash >> 33);
}

namespace {

// "_imaps._tcp.example.tld" asks for a service of example.tld (RFC 2782).
std::string without_service(std::string_view name) {
  while (name.starts_with('_')) {
    const size_t dot = name.find('.');
    if (dot == std::string_view::npos) break;
    name.remove_prefix(dot + 1);
  }
  return std::string(name);
}

}  // namespace

const char* name_of(AdminState state) noexcept {
  switch (state) {
    case AdminState::enabled: return "enabled";
    case AdminState::draining: return "draining";
    case AdminState::disabled: return "disabled";
  }
  return "";
}

Endpoint::Endpoint(const config::Server& server, uint16_t default_port, config::Resolve resolve, int place)
    : text_(server.text),
      key_(place == kNoPlace ? server.text : server.text + "#" + std::to_string(place)),
      name_(server.name.empty() ? server.text : server.name),
      resolve_(resolve),
      place_(place),
      port_(server.port != 0 || resolve == config::Resolve::srv ? server.port : default_port),
      written_weight_(server.weight),
      written_backup_(server.backup),
      weight_(server.weight),
      backup_(server.backup),
      max_connections_(server.max_connections),
      identity_(stable_hash(place == kNoPlace ? name_ : name_ + "#" + std::to_string(place))),
      hash_(identity_) {
  if (!server.unix_path.empty()) {
    if (auto path = Address::parse("unix:" + server.unix_path)) set_address(*path);
    return;
  }
  if (auto ip = Address::parse_ip(server.host, port_)) {
    set_address(*ip);
  } else {
    host_ = server.host;
    tls_name_ = resolve == config::Resolve::srv ? without_service(host_) : host_;
  }
}

bool Endpoint::stands_for(const Endpoint& fresh) const noexcept {
  return identity_ == fresh.identity_ && key_ == fresh.key_ && port_ == fresh.port_ && resolve_ == fresh.resolve_ &&
         (max_connections() == 0) == (fresh.max_connections() == 0);
}

void Endpoint::rewrite(const Written& now) noexcept {
  const Written before = written();
  if (now == before) return;
  written_weight_.store(now.weight, std::memory_order_relaxed);
  written_backup_.store(now.backup, std::memory_order_relaxed);
  max_connections_.store(now.max_connections, std::memory_order_relaxed);
  if (now.weight != before.weight) forget_told_weight();
  if (resolve_ == config::Resolve::srv) return;  // the records', as of the next answer
  set_weight(now.weight);
  set_backup(now.backup);
}

std::string Endpoint::label() const {
  std::string out;
  write_label(out);
  return out;
}

void Endpoint::write_label(std::string& out) const {
  if (place_ == kNoPlace) {
    out = text_;
    return;
  }
  std::lock_guard lock(mutex_);
  out = address_.empty() ? text_ : label_;
}

Address Endpoint::address() const {
  std::lock_guard lock(mutex_);
  return address_;
}

Endpoint::Addresses Endpoint::addresses() const {
  std::lock_guard lock(mutex_);
  return {address_, other_};
}

bool Endpoint::set_addresses(const Address& first, const Address& second) {
  std::lock_guard lock(mutex_);
  const auto stays = [&](const Address& old) { return old.empty() || old == first || old == second; };
  const auto known = [&](const Address& fresh) { return fresh.empty() || fresh == address_ || fresh == other_; };
  const bool all_stay = stays(address_) && stays(other_);
  if (all_stay && known(first) && known(second)) return false;  // which one is the better is known by now
  if (!all_stay) generation_.fetch_add(1, std::memory_order_relaxed);
  address_ = first;
  other_ = second;
  has_address_.store(!first.empty(), std::memory_order_relaxed);
  has_two_.store(!second.empty(), std::memory_order_relaxed);
  if (place_ != kNoPlace) {
    label_ = text_ + " (" + first.text() + ")";
    if (target_.empty())
      hash_.store(first.empty() ? identity_ : stable_hash(first.text(), stable_hash(name_)), std::memory_order_relaxed);
  }
  return true;
}

void Endpoint::begin_with_other(const Address& than) {
  std::lock_guard lock(mutex_);
  if (!(address_ == than) || other_.empty()) return;
  std::swap(address_, other_);
  if (place_ != kNoPlace) label_ = text_ + " (" + address_.text() + ")";
}

void Endpoint::set_target(std::string target) {
  target_ = std::move(target);
  if (!target_.empty()) hash_.store(stable_hash(target_, stable_hash(name_)), std::memory_order_relaxed);
}

}  // namespace sallyport
