// Access lines as HAProxy writes them, so that what reads its logs (halog, dashboards, eyes) reads these.
#include <algorithm>

#include "base/text.h"
#include "layers/access_format.h"

namespace sallyport {
namespace {

constexpr size_t kMostText = 1024;

// HAProxy's own escape (configuration.txt, section 8.6): "#22". Spaces too, so that a request stays three words.
void append_hashed(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (char c : text.substr(0, kMostText)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '"' && c != '#') {
      out += c;
      continue;
    }
    out += '#';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
}

void append_signed(std::string& out, int64_t value) {
  if (value < 0) out += '-';
  append_number(out, static_cast<uint64_t>(value < 0 ? -value : value));
}

void append_begin(std::string& out, const AccessRecord& r) {
  char ip[112];
  const size_t length = r.client.is_ip() ? r.client.write_ip(ip) : 0;
  if (length > 0)
    out.append(ip, length);
  else
    out += "unix";
  out += ':';
  append_number(out, r.client.port());
  const Began at = began(r);
  out.append(" [").append(at.text).append(".");
  out += static_cast<char>('0' + at.milliseconds / 100);
  out += static_cast<char>('0' + at.milliseconds / 10 % 10);
  out += static_cast<char>('0' + at.milliseconds % 10);
  out.append("] ").append(r.listener);
  if (r.tls) out += '~';
  out += ' ';
  out.append(r.service.empty() ? r.listener : r.service).append("/");
  if (r.server.empty())
    out += "<NOSRV>";
  else
    append_hashed(out, r.server);
  out += ' ';
}

void append_counts(std::string& out, const AccessRecord& r, uint64_t connections) {
  out += ' ';
  for (uint64_t count : {connections, r.counts.listener, r.counts.service, r.counts.server}) {
    append_number(out, count);
    out += '/';
  }
  append_number(out, r.retries);
  out += " 0/0";  // how many stood before it in a queue is not kept: waiting is part of Tc
}

}  // namespace

Termination termination_of(const AccessRecord& r) noexcept {
  const bool http = !r.method.empty() || r.status != 0;
  const bool asked = !http || !r.method.empty();
  const char when = !asked                            ? 'R'
                    : r.service.empty()               ? 'R'
                    : r.connect_ms < 0                ? 'C'
                    : http && r.first_byte_ms < 0     ? 'H'
                                                      : 'D';
  switch (r.end) {
    case End::ok:
      if (http && r.server.empty()) return {'L', 'R'};  // an answer of the gateway's own
      return {'-', '-'};
    case End::client_closed:
    case End::client_cut: return {'C', when};
    case End::client_timeout: return {'c', when};
    case End::server_closed:
    case End::server_cut:
    case End::server_error: return {'S', when};
    case End::server_timeout: return {'s', when};
    case End::server_refused:
    case End::no_server: return {'S', 'C'};
    case End::denied:
    case End::bad_request:
    case End::bad_hello:
    case End::no_route:
    case End::tls_error: return {'P', 'R'};
    case End::limit: return {'P', when == 'C' ? 'Q' : when};
    case End::killed:
    case End::drain: return {'K', when};
    case End::internal: return {'I', when};
  }
  return {'-', '-'};
}

void append_access_haproxy(std::string& out, const AccessRecord& r, uint64_t connections) {
  append_begin(out, r);
  const Termination end = termination_of(r);
  const bool http = !r.method.empty() || r.status != 0;
  if (http) {
    out += "0/";  // TR: requests are counted from their head on
    append_signed(out, r.connect_ms < 0 ? -1 : 0);
    out += '/';
    append_signed(out, r.connect_ms);
    out += '/';
    // Tr begins where the request has been sent.
    append_signed(out, r.first_byte_ms < 0 ? -1 : std::max<int64_t>(0, r.first_byte_ms - std::max<int64_t>(0, r.connect_ms)));
  } else {
    append_signed(out, r.connect_ms < 0 ? -1 : 0);
    out += '/';
    append_signed(out, r.connect_ms);
  }
  out += '/';
  append_signed(out, std::max<int64_t>(0, r.total_ms));
  out += ' ';
  if (http) {
    append_signed(out, r.status == 0 ? -1 : r.status);
    out += ' ';
  }
  append_number(out, r.bytes_out);
  if (http) out += " - -";
  out += ' ';
  out += end.who;
  out += end.when;
  if (http) out += "--";
  append_counts(out, r, connections);
  if (http) {
    out += " \"";
    if (r.method.empty()) {
      out += "<BADREQ>";
    } else {
      append_hashed(out, r.method);
      out += ' ';
      if (r.path.empty()) out += '*';
      append_hashed(out, r.path);
      out += ' ';
      out += r.protocol;
    }
    out += '"';
  }
  out += '\n';
}

}  // namespace sallyport
