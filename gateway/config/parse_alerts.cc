#include "config/parse_alerts.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/format.h"
#include "base/host.h"
#include "base/text.h"
#include "config/parse_service.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

constexpr size_t kMostAlerts = 32;
constexpr size_t kMostRecipients = 50;
constexpr size_t kMostArguments = 100;

struct Limit {
  uint32_t messages;
  Milliseconds time;
};

Result<Limit> parse_limit(std::string_view text) {
  const size_t slash = text.find('/');
  const auto number = parse_number(text.substr(0, slash));
  const std::string_view unit = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
  const int64_t seconds = unit == "m" ? 60 : unit == "h" ? 3'600 : unit == "d" ? 86'400 : 0;
  if (!number || *number < 1 || *number > 1000 || seconds == 0)
    return wrong(format("expected 1 to 1000 messages in a time, such as 10/h (m, h or d), found {}", quote(text)));
  return Limit{static_cast<uint32_t>(*number), std::chrono::seconds(seconds)};
}

Result<Milliseconds> parse_try_time(std::string_view text) {
  const auto time = parse_duration(text);
  if (!time) return time;
  if (*time < std::chrono::seconds(1) || *time > std::chrono::minutes(5))
    return wrong(format("expected a time from 1s to 5m, found {}", quote(text)));
  return time;
}

// Its path is often all the secret there is: the message does not repeat it.
Result<std::string> parse_webhook(std::string_view text) {
  if (auto url = parse_redirect_target(text)) return url;
  return wrong("expected an absolute URL such as https://ntfy.example.tld/topic, without a user or password in it");
}

// Scheme, host and port, without the last "/".
Result<std::string> parse_mail_server(std::string_view text) {
  const std::string small = to_lower(text.substr(0, 8));
  const bool tls = small.starts_with("smtps://");
  const auto bad = [] {
    return wrong(
        "expected a mail server such as smtps://mail.example.tld or smtp://mail.example.tld:587; user and "
        "password are keys of their own");
  };
  if (!tls && !small.starts_with("smtp://")) return bad();
  std::string_view rest = text.substr(tls ? 8 : 7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#@ ") != std::string_view::npos) return bad();
  // The rules of a server's address; "h:p" and "h" alike.
  const auto server = parse_server(rest);
  if (!server || server->host.empty() || !server->unix_path.empty()) return bad();
  const bool v6 = server->host.find(':') != std::string::npos;
  std::string out = tls ? "smtps://" : "smtp://";
  out += v6 ? "[" + server->host + "]" : server->host;
  if (server->port != 0) out += format(":{}", server->port);
  return out;
}

bool is_loopback(std::string_view server) {
  const std::string host = host_of_url(server);
  return host == "localhost" || host.starts_with("127.") || host == "[::1]";
}

bool is_argument(std::string_view text) { return text.size() <= 4096 && text.find('\0') == std::string_view::npos; }

class AlertReader {
 public:
  AlertReader(Reader& reader, const std::string& certificates) : reader_(reader), certificates_(certificates) {}

  // False: it has a fault, which was reported.
  bool read(const YamlNode& node, Alert& out) {
    const size_t before = reader_.errors();
    alert_ = Alert();
    alert_.at = node.position();
    read_fields(node);
    if (reader_.errors() == before) complete(node);
    out = std::move(alert_);
    return reader_.errors() == before;
  }

 private:
  enum Kinds : unsigned { kWebhook = 1, kEmail = 2, kExec = 4 };
  struct Seen {
    const YamlNode* key;
    unsigned kinds;
  };

  // Which kind it is may stand behind the keys that only that kind has.
  Field key(std::string_view name, unsigned kinds, std::function<void(const YamlNode&)> read) {
    return {name, [this, kinds, read = std::move(read)](const YamlNode& v, const YamlNode& k) {
              seen_.push_back({&k, kinds});
              read(v);
            }};
  }

  void begins(Alert::Kind kind) {
    ++kinds_;
    alert_.kind = kind;
  }

  void read_fields(const YamlNode& node) {
    static constexpr Word<Alert::Format> kFormats[] = {{"json", Alert::Format::json},
                                                       {"slack", Alert::Format::slack},
                                                       {"discord", Alert::Format::discord},
                                                       {"ntfy", Alert::Format::ntfy},
                                                       {"gotify", Alert::Format::gotify}};
    static constexpr Word<const char*> kMethods[] = {{"POST", "POST"}, {"PUT", "PUT"}};
    static constexpr Word<bool> kStarttls[] = {{"required", true}, {"off", false}};
    seen_.clear();
    kinds_ = 0;
    starttls_.reset();
    reader_.fields(node, "an alert",
                   {
                       {"webhook",
                        [&](const YamlNode& v, const YamlNode&) {
                          begins(Alert::Kind::webhook);
                          if (auto url = reader_.value(v, parse_webhook)) alert_.url = std::move(*url);
                        }},
                       {"email",
                        [&](const YamlNode& v, const YamlNode&) {
                          begins(Alert::Kind::email);
                          recipients(v);
                        }},
                       {"exec",
                        [&](const YamlNode& v, const YamlNode&) {
                          begins(Alert::Kind::exec);
                          command(v);
                        }},
                       key("name", kWebhook | kEmail | kExec, [&](const YamlNode& v) { name(v); }),
                       key("on", kWebhook | kEmail | kExec, [&](const YamlNode& v) { events(v); }),
                       key("limit", kWebhook | kEmail | kExec,
                           [&](const YamlNode& v) {
                             if (auto limit = reader_.value(v, parse_limit)) {
                               alert_.limit = limit->messages;
                               alert_.limit_time = limit->time;
                             }
                           }),
                       key("timeout", kWebhook | kEmail | kExec,
                           [&](const YamlNode& v) {
                             if (auto time = reader_.value(v, parse_try_time)) alert_.timeout = *time;
                           }),
                       key("ca", kWebhook | kEmail,
                           [&](const YamlNode& v) {
                             const auto file = reader_.text(v);
                             if (file && file->empty())
                               reader_.error(v, "expected the name of a file, found nothing");
                             else if (file)
                               alert_.ca = certificate_path(reader_, certificates_, *file);
                           }),
                       key("format", kWebhook,
                           [&](const YamlNode& v) {
                             if (auto format = reader_.word(v, "format", kFormats)) alert_.format = *format;
                           }),
                       key("method", kWebhook,
                           [&](const YamlNode& v) {
                             if (auto method = reader_.word(v, "method", kMethods)) alert_.method = *method;
                           }),
                       key("headers", kWebhook, [&](const YamlNode& v) { headers(v); }),
                       key("from", kEmail,
                           [&](const YamlNode& v) {
                             if (auto from = reader_.value(v, parse_mail_address)) alert_.from = std::move(*from);
                           }),
                       key("smtp", kEmail,
                           [&](const YamlNode& v) {
                             if (auto server = reader_.value(v, parse_mail_server)) alert_.smtp = std::move(*server);
                           }),
                       key("starttls", kEmail,
                           [&](const YamlNode& v) {
                             if (auto wanted = reader_.word(v, "starttls", kStarttls)) starttls_ = *wanted;
                           }),
                       key("user", kEmail, [&](const YamlNode& v) { credential(v, alert_.user); }),
                       key("password", kEmail, [&](const YamlNode& v) { credential(v, alert_.password); }),
                   });
  }

  void complete(const YamlNode& node) {
    if (kinds_ != 1)
      return reader_.error(node, kinds_ == 0 ? "an alert needs one of webhook, email and exec"
                                             : "an alert is one of webhook, email and exec; write one for each");
    const unsigned kind = alert_.kind == Alert::Kind::webhook ? kWebhook
                          : alert_.kind == Alert::Kind::email ? kEmail
                                                              : kExec;
    for (const Seen& seen : seen_)
      if ((seen.kinds & kind) == 0)
        reader_.error(*seen.key, format("{} means nothing with {}", quote(seen.key->value), name_of(alert_.kind)));
    switch (alert_.kind) {
      case Alert::Kind::webhook:
        if (alert_.name.empty()) alert_.name = host_of_url(alert_.url);
        break;
      case Alert::Kind::email:
        complete_mail(node);
        if (alert_.name.empty() && !alert_.to.empty()) alert_.name = alert_.to.front();
        break;
      case Alert::Kind::exec:
        if (alert_.name.empty()) alert_.name = std::filesystem::path(alert_.command.front()).filename().string();
        break;
    }
  }

  void complete_mail(const YamlNode& node) {
    if (alert_.smtp.empty())
      return reader_.error(node,
                           "\"email\" needs \"smtp\": the server that takes the mail, such as "
                           "smtps://mail.example.tld");
    // To oneself, from oneself: what a mail server is least likely to refuse.
    if (alert_.from.empty()) alert_.from = alert_.to.front();
    const bool tls = alert_.smtp.starts_with("smtps:");
    if (tls && starttls_) return reader_.error(node, "\"starttls\" means nothing with smtps://, which is TLS at once");
    alert_.starttls = !tls && starttls_.value_or(!is_loopback(alert_.smtp));
    if (alert_.user.empty() != alert_.password.empty())
      return reader_.error(node, "\"user\" and \"password\" belong together");
    if (!tls && !alert_.starttls && !alert_.password.empty() && !is_loopback(alert_.smtp))
      reader_.error(node, "without TLS the password could be read on its way; leave \"starttls: off\" away");
  }

  void name(const YamlNode& node) {
    const auto written = reader_.text(node);
    if (written && is_plain_name(*written))
      alert_.name = *written;
    else if (written)
      reader_.error(node,
                    format("a name is 1 to 64 letters, digits, \"-\", \"_\" and \".\", found {}", quote(*written)));
  }

  void events(const YamlNode& node) {
    static constexpr Word<unsigned> kEvents[] = {{"server", Alert::kServer},
                                                 {"service", Alert::kService},
                                                 {"certificate", Alert::kCertificate},
                                                 {"reload", Alert::kReload}};
    if (!reader_.list(node)) return;
    if (node.items.empty()) return reader_.error(node, "\"on\" names at least one event");
    alert_.on = 0;
    for (const YamlNode* item : node.items)
      if (auto event = reader_.word(*item, "event", kEvents)) alert_.on |= *event;
  }

  void recipients(const YamlNode& node) {
    if (node.is_list()) {
      if (node.items.empty() || node.items.size() > kMostRecipients)
        return reader_.error(node, format("\"email\" names 1 to {} addresses", kMostRecipients));
      if (auto several = reader_.values(node, parse_mail_address)) alert_.to = std::move(*several);
    } else if (auto one = reader_.value(node, parse_mail_address)) {
      alert_.to.push_back(std::move(*one));
    }
  }

  // Without a shell. A path is relative to the folder of gateway.yaml; a bare name is looked up in PATH.
  void command(const YamlNode& node) {
    const std::vector<const YamlNode*> items = node.is_list() ? node.items : std::vector{&node};
    if (items.empty() || items.size() > kMostArguments)
      return reader_.error(node, format("\"exec\" is a program and its arguments, {} at most", kMostArguments));
    for (const YamlNode* item : items) {
      auto argument = reader_.text(*item);
      if (!argument) return;
      if (!is_argument(*argument)) return reader_.error(*item, "expected at most 4096 characters");
      alert_.command.push_back(std::move(*argument));
    }
    std::string& program = alert_.command.front();
    if (program.empty()) return reader_.error(*items.front(), "expected a program, found nothing");
    if (!node.is_list() && program.find(' ') != std::string::npos)
      return reader_.error(
          node, "there is no shell; a program with arguments is a list, such as [/usr/bin/logger, -t, sallyport]");
    if (program.find('/') != std::string::npos) program = reader_.absolute(program);
  }

  void headers(const YamlNode& node) {
    std::set<std::string> names;
    for (const YamlNode::Entry& entry : reader_.entries(node, "headers")) {
      const auto name = parse_header_name(entry.key->value);
      if (!name) {
        reader_.error(*entry.key, name.error().detail);
        continue;
      }
      auto value = reader_.text(*entry.value);
      if (!value) continue;
      if (!names.insert(to_lower(*name)).second)
        reader_.error(*entry.key, format("the header {} is written twice", quote(*name)));
      else if (!is_header_value(*value))
        reader_.error(*entry.value, "a header's value holds no line end and no other control character");
      else
        alert_.headers.emplace_back(*name, std::move(*value));
    }
  }

  void credential(const YamlNode& node, std::string& out) {
    auto written = reader_.text(node);
    if (!written) return;
    const bool plain = std::none_of(written->begin(), written->end(),
                                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (written->empty() || written->size() > 1024 || !plain)
      reader_.error(node, "expected 1 to 1024 characters, without a line end");
    else
      out = std::move(*written);
  }

  Reader& reader_;
  const std::string& certificates_;
  Alert alert_;
  std::vector<Seen> seen_;
  std::optional<bool> starttls_;
  int kinds_ = 0;
};

}  // namespace

Result<std::string> parse_mail_address(std::string_view text) {
  constexpr std::string_view kOther = "!#$%&'*+-/=?^_`{|}~.";
  const auto bad = [&] {
    return wrong(format("expected a mail address such as admin@example.tld, found {}", quote(text)));
  };
  const size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || at > 64) return bad();
  const std::string_view local = text.substr(0, at);
  const bool dots = local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos;
  const bool atoms = std::all_of(local.begin(), local.end(), [&](char c) {
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || kOther.find(c) != std::string_view::npos;
  });
  const std::string_view domain = text.substr(at + 1);
  if (dots || !atoms || domain.ends_with('.') || !is_host_name(domain)) return bad();
  return std::string(text);
}

std::vector<Alert> read_alerts(Reader& reader, const std::string& certificates, const YamlNode& node) {
  std::vector<Alert> out;
  if (!reader.list(node)) return out;
  if (node.items.size() > kMostAlerts) {
    reader.error(node, format("more than {} alerts", kMostAlerts));
    return out;
  }
  AlertReader parts(reader, certificates);
  for (const YamlNode* item : node.items) {
    Alert alert;
    if (parts.read(*item, alert)) out.push_back(std::move(alert));
  }
  return out;
}

}  // namespace sallyport::config
