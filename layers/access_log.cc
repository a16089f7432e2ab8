#include "layers/access_log.h"

#include "base/log.h"
#include "base/text.h"

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

namespace {

void text_field(std::string& out, const char* name, std::string_view value, bool quoted = false) {
  if (value.empty()) return;
  out += ' ';
  out += name;
  out += '=';
  if (quoted) out += '"';
  append_escaped(out, value);
  if (quoted) out += '"';
}

void text_number(std::string& out, const char* name, uint64_t value) {
  out.append(" ").append(name).append("=");
  append_number(out, value);
}

void text_time(std::string& out, const char* name, int64_t milliseconds) {
  if (milliseconds >= 0) text_number(out, name, static_cast<uint64_t>(milliseconds));
}

void json_field(std::string& out, const char* name, std::string_view value) {
  if (value.empty()) return;
  out += ",\"";
  out += name;
  out += "\":";
  append_json(out, value);
}

void json_number(std::string& out, const char* name, uint64_t value) {
  out.append(",\"").append(name).append("\":");
  append_number(out, value);
}

void json_time(std::string& out, const char* name, int64_t milliseconds) {
  if (milliseconds >= 0) json_number(out, name, static_cast<uint64_t>(milliseconds));
}

}  // namespace

void append_access_text(std::string& out, const AccessRecord& r) {
  char ip[112];
  out += log::timestamp();
  out += " access";
  text_field(out, "client", {ip, r.client.write_ip(ip)});
  text_field(out, "listener", r.listener);
  text_field(out, "service", r.service);
  text_field(out, "server", r.server);
  text_field(out, "mode", r.mode);
  text_field(out, "sni", r.sni, true);
  text_field(out, "host", r.host, true);
  text_field(out, "method", r.method, true);
  text_field(out, "path", r.path, true);
  if (r.status != 0) text_number(out, "status", static_cast<uint64_t>(r.status));
  text_number(out, "in", r.bytes_in);
  text_number(out, "out", r.bytes_out);
  text_time(out, "handshake_ms", r.handshake_ms);
  text_time(out, "connect_ms", r.connect_ms);
  text_time(out, "first_byte_ms", r.first_byte_ms);
  text_time(out, "total_ms", r.total_ms);
  text_field(out, "end", name_of(r.end));
  text_field(out, "reason", r.reason, true);
  out += '\n';
}

void append_access_json(std::string& out, const AccessRecord& r) {
  char ip[112];
  out += "{\"time\":\"";
  out += log::timestamp();
  out += "\",\"type\":\"access\"";
  json_field(out, "client", {ip, r.client.write_ip(ip)});
  json_field(out, "listener", r.listener);
  json_field(out, "service", r.service);
  json_field(out, "server", r.server);
  json_field(out, "mode", r.mode);
  json_field(out, "sni", r.sni);
  json_field(out, "host", r.host);
  json_field(out, "method", r.method);
  json_field(out, "path", r.path);
  if (r.status != 0) json_number(out, "status", static_cast<uint64_t>(r.status));
  json_number(out, "bytes_in", r.bytes_in);
  json_number(out, "bytes_out", r.bytes_out);
  json_time(out, "handshake_ms", r.handshake_ms);
  json_time(out, "connect_ms", r.connect_ms);
  json_time(out, "first_byte_ms", r.first_byte_ms);
  json_time(out, "total_ms", r.total_ms);
  json_field(out, "end", name_of(r.end));
  json_field(out, "reason", r.reason);
  out += "}\n";
}

void AccessLog::write(const AccessRecord& record) {
  if (!enabled_) return;
  if (log::format_in_use() == log::Format::json) {
    append_access_json(lines_, record);
  } else {
    append_access_text(lines_, record);
  }
}

void AccessLog::hand_over() {
  if (lines_.empty()) return;
  log::write_raw(lines_);
  lines_.clear();
  if (lines_.capacity() > 256 * 1024) lines_.shrink_to_fit();
}

}  // namespace sallyport
