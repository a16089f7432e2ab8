#include "config/parse_logs.h"

#include "base/address.h"
#include "base/format.h"
#include "base/text.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

constexpr uint16_t kSyslogPort = 514;
constexpr std::string_view kSyslogForms =
    "syslog:udp:HOST:PORT, syslog:tcp:HOST:PORT, syslog:unix:/PATH, or syslog alone for /dev/log";

Result<LogTarget> parse_syslog(std::string_view whole, std::string_view text) {
  using Target = LogTarget::Kind;
  LogTarget target;
  target.text = whole;
  const size_t colon = text.find(':');
  const std::string_view how = text.substr(0, colon);
  const std::string_view where = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  target.kind = how == "udp"    ? Target::syslog_udp
                : how == "tcp"  ? Target::syslog_tcp
                : how == "unix" ? Target::syslog_unix
                                : Target::stderr_;
  if (target.kind == Target::stderr_ || where.empty())
    return wrong(format("expected {}, found {}", kSyslogForms, quote(whole)));
  if (target.kind == Target::syslog_unix) {
    if (where.front() != '/' || !Address::parse("unix:" + std::string(where)))
      return wrong(format("expected the absolute path of a socket behind \"syslog:unix:\", found {}", quote(whole)));
    target.path = where;
    return target;
  }
  auto server = parse_server(where);
  if (!server || server->host.empty())
    return wrong(format("expected a host and a port behind \"syslog:{}:\", such as logs.lan:514, found {}", how,
                        quote(whole)));
  target.host = server->host;
  target.port = server->port != 0 ? server->port : kSyslogPort;
  return target;
}

void read_format(Reader& reader, const YamlNode& node, Logs& to) {
  static constexpr Word<LogFormat> kFormats[] = {{"text", LogFormat::text},
                                                 {"json", LogFormat::json},
                                                 {"clf", LogFormat::clf},
                                                 {"haproxy", LogFormat::haproxy}};
  if (node.is_mapping()) return reader.error(node, "a log format of one's own stands in quotes, such as '{client} {host}'");
  const auto written = reader.text(node);
  if (!written) return;
  std::string_view pattern = *written;
  if (pattern.find_first_of("{} %") == std::string_view::npos) {
    const auto known = reader.word(node, "format", kFormats);
    if (!known) return;
    to.format = *known;
    if (*known != LogFormat::clf) return;
    pattern = kCombinedFormat;
  } else {
    to.format = LogFormat::custom;
  }
  auto parsed = parse_log_format(pattern);
  if (!parsed) return reader.error(node, parsed.error().detail);
  to.pattern = std::move(*parsed);
}

}  // namespace

Result<LogTarget> parse_log_target(std::string_view text) {
  static constexpr std::string_view kWords[] = {"stderr", "journald", "syslog"};
  LogTarget target;
  target.text = text;
  if (text == "stderr") return target;
  if (text == "journald") {
    target.kind = LogTarget::Kind::journald;
    return target;
  }
  if (text == "syslog") {
    target.kind = LogTarget::Kind::syslog_unix;
    target.path = "/dev/log";
    return target;
  }
  if (text.starts_with("syslog:")) return parse_syslog(text, text.substr(7));
  if (text.find('/') != std::string_view::npos && text.back() != '/') {
    target.kind = LogTarget::Kind::file;
    target.path = text;
    return target;
  }
  std::string message = format("unknown log target {}", quote(text));
  if (const std::string_view near = nearest_word(text, kWords); !near.empty())
    message += format("; did you mean {}?", quote(near));
  else
    message += "; expected stderr, journald, syslog:…, or the path of a file, with a \"/\" in it";
  return wrong(std::move(message));
}

void parse_logs(Reader& reader, const YamlNode& node, Logs& to) {
  static constexpr Word<LogLevel> kLevels[] = {
      {"error", LogLevel::error}, {"warn", LogLevel::warn}, {"info", LogLevel::info}, {"debug", LogLevel::debug}};
  reader.fields(node, "logs",
                {
                    {"format", [&](const YamlNode& v, const YamlNode&) { read_format(reader, v, to); }},
                    {"target",
                     [&](const YamlNode& v, const YamlNode&) {
                       auto target = reader.value(v, parse_log_target);
                       if (!target) return;
                       to.target = std::move(*target);
                       if (to.target.kind == LogTarget::Kind::file) to.target.path = reader.absolute(to.target.path);
                     }},
                    {"access",
                     [&](const YamlNode& v, const YamlNode&) {
                       if (auto on = reader.boolean(v)) to.access = *on;
                     }},
                    {"level",
                     [&](const YamlNode& v, const YamlNode&) {
                       if (auto level = reader.word(v, "log level", kLevels)) to.level = *level;
                     }},
                });
}

}  // namespace sallyport::config
