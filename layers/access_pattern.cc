// Access lines after a pattern: a user's own, and the NCSA's combined format.
#include <ctime>

#include "base/log.h"
#include "base/text.h"
#include "layers/access_format.h"

namespace sallyport {
namespace {

using config::LogField;
using config::LogPart;

class PatternWriter {
 public:
  PatternWriter(std::string& out, const config::LogPattern& pattern, const LogPart& part)
      : out_(out), pattern_(pattern), style_(part.style) {}

  void text(std::string_view value) {
    if (style_ == LogPart::Style::json) return value.empty() ? absent() : append_json(out_, value);
    if (value.empty()) return absent();
    append_escaped(out_, value, style_ == LogPart::Style::bare ? pattern_.bare_bytes : kPlainBytes);
  }
  // Where neither escapes nor quotes can be needed but in JSON.
  void plain(std::string_view value) {
    if (style_ == LogPart::Style::json) return append_json(out_, value);
    out_ += value;
  }
  void number(uint64_t value) { append_number(out_, value); }
  void time(int64_t milliseconds) {
    if (milliseconds < 0) return absent();
    number(static_cast<uint64_t>(milliseconds));
  }
  void request(const AccessRecord& r) {
    if (r.method.empty()) return absent();
    if (style_ == LogPart::Style::quoted) {
      // Three words, whatever is in them.
      word(r.method);
      out_ += ' ';
      word(r.path.empty() ? std::string_view("*") : r.path);
      out_ += ' ';
      word(r.protocol);
      return;
    }
    std::string line(r.method);
    line.append(" ").append(r.path.empty() ? std::string_view("*") : r.path).append(" ").append(r.protocol);
    text(line);
  }
  void absent() { out_ += style_ == LogPart::Style::json ? "null" : "-"; }

 private:
  static constexpr ByteSet no_space() {
    ByteSet set = kPlainBytes;
    set[' '] = false;
    return set;
  }
  void word(std::string_view value) {
    static constexpr ByteSet kWord = no_space();
    append_escaped(out_, value, kWord);
  }

  std::string& out_;
  const config::LogPattern& pattern_;
  LogPart::Style style_;
};

void append_two(std::string& out, int value) {
  out += static_cast<char>('0' + value / 10 % 10);
  out += static_cast<char>('0' + value % 10);
}

void write_part(PatternWriter w, const AccessRecord& r, LogField field) {
  char ip[112];
  switch (field) {
    case LogField::none: return;
    case LogField::time: return w.plain(log::timestamp());
    case LogField::time_clf: {
      std::string text(began(r).text);
      return w.plain(text += " +0000");
    }
    case LogField::time_unix: {
      const Began at = began(r);
      std::string text;
      append_number(text, static_cast<uint64_t>(at.seconds));
      text += '.';
      text += static_cast<char>('0' + at.milliseconds / 100);
      append_two(text, at.milliseconds % 100);
      return w.plain(text);
    }
    case LogField::client: return r.client.is_ip() ? w.plain({ip, r.client.write_ip(ip)}) : w.absent();
    case LogField::client_port: return r.client.port() == 0 ? w.absent() : w.number(r.client.port());
    case LogField::listener: return w.text(r.listener);
    case LogField::service: return w.text(r.service);
    case LogField::server: return w.text(r.server);
    case LogField::mode: return w.text(r.mode);
    case LogField::sni: return w.text(r.sni);
    case LogField::host: return w.text(r.host);
    case LogField::method: return w.text(r.method);
    case LogField::path: return w.text(r.path);
    case LogField::protocol: return w.text(r.method.empty() ? std::string_view() : r.protocol);
    case LogField::request: return w.request(r);
    case LogField::status: return r.status == 0 ? w.absent() : w.number(static_cast<uint64_t>(r.status));
    case LogField::in: return w.number(r.bytes_in);
    case LogField::out: return w.number(r.bytes_out);
    case LogField::handshake_ms: return w.time(r.handshake_ms);
    case LogField::connect_ms: return w.time(r.connect_ms);
    case LogField::first_byte_ms: return w.time(r.first_byte_ms);
    case LogField::total_ms: return w.time(r.total_ms);
    case LogField::end: return w.plain(name_of(r.end));
    case LogField::reason: return w.text(r.reason);
    case LogField::referer: return w.text(r.referer);
    case LogField::user_agent: return w.text(r.user_agent);
  }
}

}  // namespace

void append_access_pattern(std::string& out, const AccessRecord& record, const config::LogPattern& pattern) {
  for (const LogPart& part : pattern.parts) {
    out += part.before;
    write_part(PatternWriter(out, pattern, part), record, part.field);
  }
  out += '\n';
}

Began began(const AccessRecord& record) {
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  thread_local int64_t cached = -1;
  thread_local std::string text;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const int64_t at = static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000 -
                     (record.total_ms > 0 ? record.total_ms : 0);
  const time_t seconds = at / 1000;
  if (seconds != cached) {
    tm parts{};
    gmtime_r(&seconds, &parts);
    text.clear();
    append_two(text, parts.tm_mday);
    text.append("/").append(kMonths[parts.tm_mon]).append("/");
    append_number(text, static_cast<uint64_t>(parts.tm_year + 1900));
    for (int part : {parts.tm_hour, parts.tm_min, parts.tm_sec}) {
      text += ':';
      append_two(text, part);
    }
    cached = seconds;
  }
  return {text, seconds, static_cast<int>(at % 1000)};
}

}  // namespace sallyport
