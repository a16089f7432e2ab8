#include "runtime/alert_message.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>

#include "base/format.h"
#include "base/text.h"
#include "config/source.h"

namespace sallyport {
namespace {

using Severity = AlertChange::Severity;
using Format = config::Alert::Format;

// What a receiver takes: Discord 2000 characters, ntfy 4096 bytes, Slack 40,000 characters.
constexpr size_t kDiscordBytes = 1900;
constexpr size_t kNtfyBytes = 4000;
constexpr size_t kTextBytes = 30'000;

void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out += ",\"";
  out += name;
  out += "\":";
  append_json(out, value);
}

void append_change(std::string& out, const AlertChange& change) {
  out += "{\"event\":";
  append_json(out, event_name(change.event));
  append_field(out, "state", change.state);
  append_field(out, "severity", name_of(change.severity));
  append_field(out, "service", change.service);
  append_field(out, "server", change.server);
  append_field(out, "certificate", change.certificate);
  append_field(out, "reason", change.reason);
  out += format(",\"since\":{},\"changes\":{}", change.time, change.changes);
  append_field(out, "text", change.text);
  out += '}';
}

std::string line_of(const AlertChange& change) {
  if (change.changes < 3) return change.text;
  return format("{} (it changed {} times since it was told last)", change.text, change.changes);
}

// What several changes of one kind are called together.
std::string counted(const AlertChange& change, size_t count) {
  const bool one = count == 1;
  const std::string_view state = change.state;
  if (change.event == config::Alert::kServer) return format("{} server{} {}", count, one ? "" : "s", state);
  if (change.event == config::Alert::kService)
    return format("{} service{} {} servers", count, one ? "" : "s", state == "no_server" ? "without" : "with");
  if (change.event == config::Alert::kCertificate) return format("{} certificate{} {}", count, one ? "" : "s", state);
  return format("{} {}", event_name(change.event), state);
}

const char* priority(Severity severity, const char* info, const char* warn, const char* error) {
  return severity == Severity::error ? error : severity == Severity::warn ? warn : info;
}

std::string json_object(std::initializer_list<std::pair<std::string_view, std::string_view>> fields,
                        std::string_view more) {
  std::string out = "{";
  for (const auto& [name, value] : fields) {
    if (out.size() > 1) out += ',';
    append_json(out, name);
    out += ':';
    append_json(out, value);
  }
  out += more;
  return out + '}';
}

std::string titled(const AlertMessage& message) { return message.gateway + ": " + message.title(); }

// RFC 2045 section 6.7: lines of at most 76 characters, which end in "=" where the text goes on.
std::string quoted_printable(std::string_view text) {
  std::string out;
  size_t column = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      out += "\r\n";
      column = 0;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    const bool last = i + 1 == text.size() || text[i + 1] == '\n';
    const bool plain = (byte > 0x20 && byte < 0x7f && c != '=') || (c == ' ' && !last);
    const size_t width = plain ? 1 : 3;
    if (column + width > 75) {
      out += "=\r\n";
      column = 0;
    }
    // A dot that begins a line is SMTP's business, and some servers': it does no harm encoded.
    if (plain && !(c == '.' && column == 0)) {
      out += c;
      column += 1;
    } else {
      format_to(std::back_inserter(out), "={:02X}", byte);
      column += 3;
    }
  }
  return out;
}

std::string mail_date(int64_t unix_ms) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t seconds = unix_ms / 1000;
  tm t{};
  gmtime_r(&seconds, &t);
  return format("{}, {} {} {} {:02}:{:02}:{:02} +0000", kDays[t.tm_wday], t.tm_mday, kMonths[t.tm_mon],
                t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

// As a word within quotes: nothing that would end them, ASCII only.
std::string display_word(std::string_view text) {
  std::string out;
  for (char c : text)
    if (c == ' ' || c == '-' || c == '.' || c == '_' || is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z')) out += c;
  return out.substr(0, 64);
}

}  // namespace

const char* name_of(Severity severity) noexcept {
  switch (severity) {
    case Severity::info: return "info";
    case Severity::warn: return "warn";
    case Severity::error: return "error";
  }
  return "";
}

const char* event_name(unsigned event) noexcept {
  switch (event) {
    case config::Alert::kServer: return "server";
    case config::Alert::kService: return "service";
    case config::Alert::kCertificate: return "certificate";
    case config::Alert::kReload: return "reload";
    default: return "test";
  }
}

Severity AlertMessage::severity() const noexcept {
  Severity worst = Severity::info;
  for (const AlertChange& change : changes) worst = std::max(worst, change.severity);
  return worst;
}

std::string AlertMessage::title() const {
  if (changes.size() == 1 && omitted == 0) return one_line(changes.front().text, 120);
  std::vector<std::pair<const AlertChange*, size_t>> kinds;
  for (const AlertChange& change : changes) {
    const auto same = std::find_if(kinds.begin(), kinds.end(), [&](const auto& kind) {
      return kind.first->event == change.event && std::string_view(kind.first->state) == change.state;
    });
    if (same == kinds.end())
      kinds.emplace_back(&change, 1);
    else
      ++same->second;
  }
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const auto& a, const auto& b) { return a.first->severity > b.first->severity; });
  std::string out;
  for (const auto& [change, count] : kinds) {
    if (!out.empty()) out += ", ";
    out += counted(*change, count);
  }
  if (omitted > 0) out += format(", and {} more", omitted);
  return out;
}

std::string AlertMessage::text(size_t most) const {
  std::string out;
  size_t shown = 0;
  for (const AlertChange& change : changes) {
    const std::string line = line_of(change);
    // The last line, for those that are not shown, is short.
    if (shown > 0 && out.size() + line.size() + 40 > most) break;
    out += (shown == 0 ? "" : "\n") + one_line(line, most - std::min(most, out.size()));
    ++shown;
  }
  const uint64_t left = changes.size() - shown + omitted;
  if (left > 0) out += format("\n… and {} more", left);
  return out;
}

std::string AlertMessage::json() const {
  std::string out = "{\"version\":1,\"id\":";
  append_json(out, id);
  append_field(out, "gateway", gateway);
  out += format(",\"time\":{}", time);
  append_field(out, "severity", name_of(severity()));
  append_field(out, "title", title());
  append_field(out, "text", text(kTextBytes));
  out += ",\"changes\":[";
  for (size_t i = 0; i < changes.size(); ++i) {
    if (i > 0) out += ',';
    append_change(out, changes[i]);
  }
  return out + format("],\"omitted\":{}}}", omitted);
}

std::string one_line(std::string_view text, size_t most) {
  std::string out(text.substr(0, std::min(most + 4, text.size())));
  for (size_t bad; (bad = config::find_bad_text(out)) != std::string::npos;) out[bad] = '?';
  for (char& c : out)
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  if (out.size() <= most && out.size() == text.size()) return out;
  size_t end = std::min(most, out.size());
  while (end > 0 && end < out.size() && (static_cast<unsigned char>(out[end]) & 0xC0) == 0x80) --end;
  out.resize(end);
  return out + "…";
}

WebhookRequest webhook_request(const config::Alert& alert, const AlertMessage& message) {
  WebhookRequest out;
  const Severity severity = message.severity();
  const char* type = "application/json";
  switch (alert.format) {
    case Format::json: out.body = message.json(); break;
    case Format::slack: {
      // What Slack would read as markup: https://docs.slack.dev/messaging/formatting-message-text
      std::string text;
      for (char c : titled(message) + "\n" + message.text(kTextBytes)) {
        if (c == '&')
          text += "&amp;";
        else if (c == '<')
          text += "&lt;";
        else if (c == '>')
          text += "&gt;";
        else
          text += c;
      }
      out.body = json_object({{"text", text}}, "");
      break;
    }
    case Format::discord:
      // Nobody is pinged by what a server answered.
      out.body = json_object({{"content", "**" + titled(message) + "**\n" + message.text(kDiscordBytes - 200)}},
                             ",\"allowed_mentions\":{\"parse\":[]}");
      break;
    case Format::ntfy:
      type = "text/plain; charset=utf-8";
      out.body = message.text(kNtfyBytes);
      out.headers = {{"Title", header_text(titled(message))},
                     {"Priority", priority(severity, "3", "3", "5")},
                     {"Tags", priority(severity, "white_check_mark", "warning", "rotating_light")}};
      break;
    case Format::gotify:
      out.body = json_object({{"title", titled(message)}, {"message", message.text(kTextBytes)}},
                             format(",\"priority\":{}", priority(severity, "4", "6", "9")));
      break;
  }
  out.headers.emplace_back("Content-Type", type);
  for (const auto& own : alert.headers) {
    std::erase_if(out.headers, [&](const auto& header) { return equal_ignoring_case(header.first, own.first); });
    out.headers.push_back(own);
  }
  return out;
}

std::string header_text(std::string_view text) {
  const std::string line = one_line(text, 300);
  const bool plain = std::all_of(line.begin(), line.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (plain && line.find("=?") == std::string::npos) return line;
  // RFC 2047 section 2: words of at most 75 characters, each of whole UTF-8 characters (section 5).
  std::string out;
  std::string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    if (!out.empty()) out += ' ';
    out += "=?utf-8?Q?" + word + "?=";
    word.clear();
  };
  for (size_t i = 0; i < line.size();) {
    size_t length = 1;
    while (i + length < line.size() && (static_cast<unsigned char>(line[i + length]) & 0xC0) == 0x80) ++length;
    std::string piece;
    for (char c : line.substr(i, length)) {
      if (c == ' ')
        piece += '_';
      else if (is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '.')
        piece += c;
      else
        format_to(std::back_inserter(piece), "={:02X}", static_cast<unsigned char>(c));
    }
    if (word.size() + piece.size() > 60) end_word();
    word += piece;
    i += length;
  }
  end_word();
  return out;
}

namespace {

// Folded where words of RFC 2047 meet, or at a space, so that no line grows long (RFC 5322 section 2.1.1).
std::string folded(std::string_view name, std::string_view value) {
  std::string out(name);
  out += ':';
  size_t column = out.size();
  while (!value.empty()) {
    const size_t space = value.find(' ');
    const std::string_view word = value.substr(0, space);
    if (column + 1 + word.size() > 76 && column > name.size() + 1) {
      out += "\r\n";
      column = 0;
    }
    out += ' ';
    out += word;
    column += 1 + word.size();
    value.remove_prefix(space == std::string_view::npos ? value.size() : space + 1);
  }
  return out + "\r\n";
}

}  // namespace

std::string mail_text(const config::Alert& alert, const AlertMessage& message) {
  const std::string domain = alert.from.substr(alert.from.rfind('@') + 1);
  std::string to;
  for (const std::string& one : alert.to) to += (to.empty() ? "" : ", ") + one;
  std::string out;
  out += "Date: " + mail_date(message.time) + "\r\n";
  out += "From: \"" + display_word("sallyport " + message.gateway) + "\" <" + alert.from + ">\r\n";
  out += folded("To", to);
  out += folded("Subject", header_text("[sallyport] " + titled(message)));
  out += "Message-ID: <" + display_word(message.id) + "@" + domain + ">\r\n";
  out += "Auto-Submitted: auto-generated\r\n";  // RFC 3834: no out-of-office answers
  if (message.severity() == Severity::error) out += "Importance: high\r\n";
  out += "MIME-Version: 1.0\r\n";
  out += "Content-Type: text/plain; charset=utf-8\r\n";
  out += "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
  std::string body = message.text(1'000'000) + "\n\n";
  body += format("-- \nsallyport on {}\n", message.gateway);
  return out + quoted_printable(body);
}

std::vector<std::string> exec_environment(const AlertMessage& message) {
  std::vector<std::string> out;
  for (const char* name : {"PATH", "HOME", "LANG", "LC_ALL", "TZ"})
    if (const char* value = std::getenv(name)) out.push_back(format("{}={}", name, value));
  const auto add = [&](std::string_view name, std::string_view value) {
    out.push_back(format("SALLYPORT_{}={}", name, value));
  };
  static const AlertChange kNone;
  const AlertChange& first = message.changes.empty() ? kNone : message.changes.front();
  add("ID", message.id);
  add("GATEWAY", message.gateway);
  add("SEVERITY", name_of(message.severity()));
  add("TITLE", message.title());
  add("TEXT", message.text(kTextBytes));
  add("COUNT", std::to_string(message.changes.size() + message.omitted));
  add("EVENT", event_name(first.event));
  add("STATE", first.state);
  add("SERVICE", first.service);
  add("SERVER", first.server);
  add("CERTIFICATE", first.certificate);
  add("REASON", one_line(first.reason));
  add("SINCE", std::to_string(first.time / 1000));
  return out;
}

}  // namespace sallyport
