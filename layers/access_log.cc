#include "layers/access_log.h"

#include "base/log.h"
#include "layers/access_format.h"

namespace sallyport {

const char* name_of(End end) noexcept {
  switch (end) {
    case End::ok: return "ok";
    case End::client_closed: return "client_closed";
    case End::client_cut: return "client_cut";
    case End::client_timeout: return "client_timeout";
    case End::server_closed: return "server_closed";
    case End::server_cut: return "server_cut";
    case End::server_timeout: return "server_timeout";
    case End::server_error: return "server_error";
    case End::server_refused: return "server_refused";
    case End::no_server: return "no_server";
    case End::denied: return "denied";
    case End::bad_request: return "bad_request";
    case End::bad_hello: return "bad_hello";
    case End::no_route: return "no_route";
    case End::tls_error: return "tls_error";
    case End::limit: return "limit";
    case End::drain: return "drain";
    case End::killed: return "killed";
    case End::internal: return "internal";
  }
  return "";
}

void AccessLog::configure(const config::Logs& logs) {
  logs_ = logs;
  using Target = config::LogTarget::Kind;
  const Target kind = logs.target.kind;
  const bool syslog = kind == Target::syslog_udp || kind == Target::syslog_tcp || kind == Target::syslog_unix;
  const log::Shape shape = syslog                   ? log::Shape::stamped
                           : kind == Target::journald ? log::Shape::fields
                                                    : log::Shape::plain;
  if (shape != shape_) hand_over();
  shape_ = shape;
}

// timed: the line tells the time where its format does; otherwise something before it has.
void AccessLog::append_line(const AccessRecord& record, bool timed) {
  switch (logs_.format) {
    case config::LogFormat::text: return append_access_text(lines_, record, timed);
    case config::LogFormat::json: return append_access_json(lines_, record);
    case config::LogFormat::haproxy:
      append_access_haproxy(line_, record, connections_ != nullptr ? connections_->load(std::memory_order_relaxed) : 0);
      break;
    case config::LogFormat::clf:
    case config::LogFormat::custom: append_access_pattern(line_, record, logs_.pattern); break;
  }
  lines_.append(line_);
  line_.clear();
}

void AccessLog::write(const AccessRecord& record) {
  if (!logs_.access) return;
  switch (shape_) {
    case log::Shape::plain: return append_line(record, true);
    case log::Shape::stamped:
      lines_.append(log::timestamp());
      lines_.append(" ");
      return append_line(record, false);
    case log::Shape::fields:
      lines_.append("MESSAGE=");
      append_line(record, false);
      append_access_fields(lines_, record);
      lines_.append("\n");
  }
}

void AccessLog::hand_over() {
  if (lines_.empty()) return;
  log::write_raw(lines_.view(), shape_);
  lines_.clear();
  constexpr size_t kMostKept = 256 * 1024;
  if (lines_.capacity() > kMostKept) lines_.release();
  if (line_.capacity() > kMostKept) std::string().swap(line_);
}

}  // namespace sallyport
