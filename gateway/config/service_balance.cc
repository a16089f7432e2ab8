// Which server gets what, when one is out, and who comes back to which.
#include <algorithm>

#include "base/format.h"
#include "base/host.h"
#include "base/text.h"
#include "config/service_parts.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

constexpr Milliseconds kLeastTime{100};  // between two checks, and for one
constexpr unsigned kHttpKinds = kEdge | kReencrypt | kHttp;

// Of a method or a cookie: the plain part of RFC 9110's tokens.
bool is_word(std::string_view text, size_t most) noexcept {
  return !text.empty() && text.size() <= most && std::all_of(text.begin(), text.end(), [](char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_' || c == '.';
  });
}

bool is_status(uint32_t status) noexcept { return status >= 100 && status <= 599; }

// "200", "200-399".
Result<std::pair<uint16_t, uint16_t>> parse_statuses(std::string_view text) {
  const size_t dash = text.find('-');
  const auto from = parse_number(trim(text.substr(0, dash)));
  const auto to = dash == std::string_view::npos ? from : parse_number(trim(text.substr(dash + 1)));
  if (!from || !to || *from > 599 || *to > 599 || !is_status(static_cast<uint32_t>(*from)) ||
      !is_status(static_cast<uint32_t>(*to)) || *from > *to)
    return wrong(format("expected a status such as 200, or a range such as 200-399, found \"{}\"", text));
  return std::pair<uint16_t, uint16_t>{static_cast<uint16_t>(*from), static_cast<uint16_t>(*to)};
}

Result<Milliseconds> parse_check_time(std::string_view text) {
  auto time = parse_duration(text);
  if (time && *time < kLeastTime) return wrong(format("at least 100ms, found \"{}\"", text));
  return time;
}

Result<std::string> parse_cookie_name(std::string_view text) {
  if (!is_word(text, 64))
    return wrong(format("the name of a cookie is 1 to 64 letters, digits, \"-\" or \"_\", found \"{}\"", text));
  return std::string(text);
}

}  // namespace

void ServiceParts::balance(const YamlNode& value, const YamlNode& key) {
  static constexpr Word<Balance> kWords[] = {{"round-robin", Balance::round_robin},
                                             {"least-connections", Balance::least_connections},
                                             {"source-hash", Balance::source_hash},
                                             {"uri-hash", Balance::uri_hash},
                                             {"random", Balance::random}};
  const auto word = reader_.word(value, "balance", kWords);
  if (!word) return;
  if (*word == Balance::uri_hash && (draft_.kind & kHttpKinds) == 0) {
    if (!draft_.inherited())
      reader_.error(key, format("balance: uri-hash means nothing in {}: no request is read", kind_text(draft_.kind)));
    return;
  }
  draft_.service.balance = *word;
}

void ServiceParts::slow_start(const YamlNode& value, const YamlNode&) {
  if (auto time = reader_.value(value, parse_duration)) draft_.service.slow_start = *time;
}

void ServiceParts::retries(const YamlNode& value, const YamlNode&) {
  if (auto number = reader_.number(value, 0, 100)) draft_.service.retries = static_cast<int>(*number);
}

void ServiceParts::retry_on(const YamlNode& value, const YamlNode&) {
  if (!reader_.list(value)) return;
  RetryOn on{false, false, {}};
  for (const YamlNode* item : value.items) {
    const auto word = reader_.text(*item);
    if (!word) continue;
    const auto number = parse_number(*word);
    const bool status = number && (*number == 404 || *number == 408 || *number == 425 || *number == 429 ||
                                   (*number >= 500 && *number <= 599));
    if (*word == "connect") {
      on.connect = true;
    } else if (*word != "reset" && !status) {
      reader_.error(*item, format("expected connect, reset, 404, 408, 425, 429 or a status from 500 to 599, found {}",
                                  quote(*word)));
    } else if ((draft_.kind & kHttpKinds) == 0) {
      if (!draft_.inherited())
        reader_.error(*item,
                      format("{} means nothing in {}: no request is read", quote(*word), kind_text(draft_.kind)));
    } else if (status) {
      on.statuses.push_back(static_cast<uint16_t>(*number));
    } else {
      on.reset = true;
    }
  }
  draft_.service.retry_on = std::move(on);
}

void ServiceParts::queue(const YamlNode& value, const YamlNode&) {
  Queue& queue = draft_.service.queue;
  reader_.fields(
      value, "queue",
      {
          {"size", [&](const YamlNode& v,
                       const YamlNode&) { queue.size = reader_.number(v, 0, 1'000'000).value_or(queue.size); }},
          {"timeout",
           [&](const YamlNode& v, const YamlNode&) {
             if (auto time = reader_.value(v, parse_duration)) queue.timeout = *time;
           }},
      });
}

void ServiceParts::sticky(const YamlNode& value, const YamlNode& key) {
  static constexpr Word<Sticky::By> kBy[] = {{"source", Sticky::By::source}, {"cookie", Sticky::By::cookie}};
  Sticky sticky = draft_.service.sticky;
  if (value.is_scalar() && value.tag.empty() && value.value == "off") {  // what a preset or `defaults` says, undone
    draft_.service.sticky.by = Sticky::By::nothing;
    return;
  }
  const YamlNode* by_cookie = nullptr;
  const YamlNode* by_source = nullptr;
  bool by_written = false;
  reader_.fields(value, "sticky",
                 {
                     {"by",
                      [&](const YamlNode& v, const YamlNode&) {
                        by_written = true;
                        if (auto by = reader_.word(v, "by", kBy)) sticky.by = *by;
                      }},
                     {"expire",
                      [&](const YamlNode& v, const YamlNode& k) {
                        by_source = &k;
                        if (auto time = reader_.value(v, parse_duration)) sticky.expire = *time;
                      }},
                     {"size",
                      [&](const YamlNode& v, const YamlNode& k) {
                        by_source = &k;
                        sticky.size = reader_.number(v, 1, 10'000'000).value_or(sticky.size);
                      }},
                     {"ipv6_prefix",
                      [&](const YamlNode& v, const YamlNode& k) {
                        by_source = &k;
                        sticky.ipv6_prefix = reader_.number(v, 32, 128).value_or(sticky.ipv6_prefix);
                      }},
                     {"name",
                      [&](const YamlNode& v, const YamlNode& k) {
                        by_cookie = &k;
                        if (auto name = reader_.value(v, parse_cookie_name)) sticky.cookie = *name;
                      }},
                 });
  if (!by_written && sticky.by == Sticky::By::nothing && value.is_mapping())
    return reader_.error(value, "\"sticky\" needs \"by\": source or cookie");
  if (sticky.by == Sticky::By::cookie && (draft_.kind & kHttpKinds) == 0) {
    if (!draft_.inherited())
      reader_.error(key, format("a cookie means nothing in {}; by: source does", kind_text(draft_.kind)));
    return;
  }
  const YamlNode* idle = sticky.by == Sticky::By::cookie ? by_source : by_cookie;
  if (idle != nullptr && !draft_.inherited())
    return reader_.error(*idle, format("{} means nothing with by: {}", quote(idle->value),
                                       sticky.by == Sticky::By::cookie ? "cookie" : "source"));
  draft_.service.sticky = std::move(sticky);
}

void ServiceParts::passive(const YamlNode& value) {
  Health& health = draft_.service.health;
  if (health.passive_failures == 0) health.passive_failures = 5;
  reader_.fields(value, "passive",
                 {
                     {"failures",
                      [&](const YamlNode& v, const YamlNode&) {
                        health.passive_failures = reader_.number(v, 0, 1'000'000).value_or(health.passive_failures);
                      }},
                     {"window",
                      [&](const YamlNode& v, const YamlNode&) {
                        if (auto time = reader_.value(v, parse_check_time)) health.passive_window = *time;
                      }},
                 });
}

void ServiceParts::health(const YamlNode& value, const YamlNode&) {
  using Type = Health::Type;
  static constexpr Word<Type> kTypes[] = {{"off", Type::off},    {"tcp", Type::tcp},     {"tls", Type::tls},
                                          {"http", Type::http},  {"https", Type::https}, {"ssh", Type::ssh},
                                          {"smtp", Type::smtp},  {"mysql", Type::mysql}, {"postgres", Type::postgres},
                                          {"redis", Type::redis}};
  static constexpr Word<Verify> kVerify[] = {{"required", Verify::required}, {"none", Verify::none}};
  static constexpr Word<bool> kOnDown[] = {{"keep", false}, {"close", true}};
  Health& health = draft_.service.health;
  health.at = value.position();
  const auto type = [&](const YamlNode& v, const YamlNode&) {
    const auto word = reader_.word(v, "health", kTypes);
    if (!word) return;
    health.type = *word;
    draft_.health_type_of_preset = draft_.from == Draft::From::preset;
  };
  if (!value.is_mapping()) return type(value, value);
  const auto time = [this](std::string_view name, Milliseconds& out) {
    return Field{name, [this, &out](const YamlNode& v, const YamlNode&) {
                   if (auto found = reader_.value(v, parse_check_time)) out = *found;
                 }};
  };
  const auto count = [this](std::string_view name, uint32_t& out) {
    return Field{name,
                 [this, &out](const YamlNode& v, const YamlNode&) { out = reader_.number(v, 1, 1000).value_or(out); }};
  };
  const auto text = [this](std::string_view name, std::string& out, Position* at) {
    return Field{name, [this, &out, at](const YamlNode& v, const YamlNode& k) {
                   const auto found = reader_.text(v);
                   if (!found) return;
                   if (found->find('\0') != std::string::npos || found->size() > 4096)
                     return reader_.error(v, "expected at most 4096 characters");
                   out = *found;
                   if (at != nullptr && !draft_.inherited()) *at = k.position();
                 }};
  };
  reader_.fields(value, "health",
                 {
                     {"type", type},
                     time("interval", health.interval),
                     time("timeout", health.timeout),
                     count("fall", health.fall),
                     count("rise", health.rise),
                     {"port",
                      [&](const YamlNode& v, const YamlNode&) {
                        if (auto port = reader_.number(v, 1, 65535)) health.port = static_cast<uint16_t>(*port);
                      }},
                     {"method",
                      [&](const YamlNode& v, const YamlNode&) {
                        const auto method = reader_.text(v);
                        if (!method) return;
                        if (is_word(*method, 32))
                          health.method = *method;
                        else
                          reader_.error(v, format("expected a method such as GET or HEAD, found {}", quote(*method)));
                      }},
                     {"path",
                      [&](const YamlNode& v, const YamlNode&) {
                        const auto path = reader_.text(v);
                        if (!path) return;
                        const bool plain =
                            std::all_of(path->begin(), path->end(), [](char c) { return c > 0x20 && c < 0x7f; });
                        if (path->starts_with('/') && plain && path->size() <= 2048)
                          health.path = *path;
                        else
                          reader_.error(v, format("expected a path such as /health, found {}", quote(*path)));
                      }},
                     {"expect",
                      [&](const YamlNode& v, const YamlNode&) {
                        std::vector<std::pair<uint16_t, uint16_t>> ranges;
                        if (v.is_list()) {
                          if (auto several = reader_.values(v, parse_statuses)) ranges = std::move(*several);
                        } else if (auto one = reader_.value(v, parse_statuses)) {
                          ranges.push_back(*one);
                        }
                        if (!ranges.empty()) health.expect = std::move(ranges);
                      }},
                     text("body", health.body, nullptr),
                     {"host",
                      [&](const YamlNode& v, const YamlNode&) {
                        const auto host = reader_.text(v);
                        if (!host) return;
                        if (is_ip_literal(*host) || is_host_name(*host))
                          health.host = normalized_host(*host);
                        else
                          reader_.error(v, format("expected a host name, found {}", quote(*host)));
                      }},
                     {"verify",
                      [&](const YamlNode& v, const YamlNode&) {
                        if (auto verify = reader_.word(v, "verify", kVerify)) health.verify = *verify;
                      }},
                     text("user", health.user, &draft_.health_user_at),
                     text("password", health.password, &draft_.health_password_at),
                     {"passive", [&](const YamlNode& v, const YamlNode&) { passive(v); }},
                     {"on_down",
                      [&](const YamlNode& v, const YamlNode&) {
                        if (auto close = reader_.word(v, "on_down", kOnDown)) health.close_on_down = *close;
                      }},
                 });
}

}  // namespace sallyport::config
