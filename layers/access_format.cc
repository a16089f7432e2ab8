#include "layers/access_format.h"

#include "base/log.h"
#include "base/text.h"

namespace sallyport {
namespace {

// What a field is called, with what goes before its value in each format.
struct Key {
  std::string_view text;  // ` client=`; with a quote behind it where a client made the value
  std::string_view json;
  std::string_view journal;
  bool quoted() const noexcept { return text.back() == '"'; }
};
constexpr Key kClient{" client=", ",\"client\":", "SALLYPORT_CLIENT="};
constexpr Key kListener{" listener=", ",\"listener\":", "SALLYPORT_LISTENER="};
constexpr Key kService{" service=", ",\"service\":", "SALLYPORT_SERVICE="};
constexpr Key kServer{" server=", ",\"server\":", "SALLYPORT_SERVER="};
constexpr Key kMode{" mode=", ",\"mode\":", "SALLYPORT_MODE="};
constexpr Key kSni{" sni=\"", ",\"sni\":", "SALLYPORT_SNI="};
constexpr Key kHost{" host=\"", ",\"host\":", "SALLYPORT_HOST="};
constexpr Key kMethod{" method=\"", ",\"method\":", "SALLYPORT_METHOD="};
constexpr Key kPath{" path=\"", ",\"path\":", "SALLYPORT_PATH="};
constexpr Key kStatus{" status=", ",\"status\":", "SALLYPORT_STATUS="};
constexpr Key kIn{" in=", ",\"bytes_in\":", "SALLYPORT_BYTES_IN="};
constexpr Key kOut{" out=", ",\"bytes_out\":", "SALLYPORT_BYTES_OUT="};
constexpr Key kHandshakeMs{" handshake_ms=", ",\"handshake_ms\":", "SALLYPORT_HANDSHAKE_MS="};
constexpr Key kConnectMs{" connect_ms=", ",\"connect_ms\":", "SALLYPORT_CONNECT_MS="};
constexpr Key kFirstByteMs{" first_byte_ms=", ",\"first_byte_ms\":", "SALLYPORT_FIRST_BYTE_MS="};
constexpr Key kTotalMs{" total_ms=", ",\"total_ms\":", "SALLYPORT_TOTAL_MS="};
constexpr Key kEnd{" end=", ",\"end\":", "SALLYPORT_END="};
constexpr Key kReason{" reason=\"", ",\"reason\":", "SALLYPORT_REASON="};

// The one list of fields, in the order of the lines.
template <class Writer>
void write_fields(Writer& w, const AccessRecord& r) {
  char ip[112];
  w.text(kClient, {ip, r.client.write_ip(ip)});
  w.text(kListener, r.listener);
  w.text(kService, r.service);
  w.text(kServer, r.server);
  w.text(kMode, r.mode);
  w.text(kSni, r.sni);
  w.text(kHost, r.host);
  w.text(kMethod, r.method);
  w.text(kPath, r.path);
  if (r.status != 0) w.number(kStatus, static_cast<uint64_t>(r.status));
  w.number(kIn, r.bytes_in);
  w.number(kOut, r.bytes_out);
  const auto time = [&](const Key& key, int64_t milliseconds) {
    if (milliseconds >= 0) w.number(key, static_cast<uint64_t>(milliseconds));
  };
  time(kHandshakeMs, r.handshake_ms);
  time(kConnectMs, r.connect_ms);
  time(kFirstByteMs, r.first_byte_ms);
  time(kTotalMs, r.total_ms);
  w.text(kEnd, name_of(r.end));
  w.text(kReason, r.reason);
}

struct TextWriter {
  std::string& out;
  void text(const Key& key, std::string_view value) {
    if (value.empty()) return;
    out += key.text;
    append_escaped(out, value);
    if (key.quoted()) out += '"';
  }
  void number(const Key& key, uint64_t value) {
    out += key.text;
    append_number(out, value);
  }
};

struct JsonWriter {
  std::string& out;
  void text(const Key& key, std::string_view value) {
    if (value.empty()) return;
    out += key.json;
    append_json(out, value);
  }
  void number(const Key& key, uint64_t value) {
    out += key.json;
    append_number(out, value);
  }
};

struct JournalWriter {
  std::string& out;
  void text(const Key& key, std::string_view value) {
    if (value.empty()) return;
    out += key.journal;
    append_escaped(out, value);
    out += '\n';
  }
  void number(const Key& key, uint64_t value) {
    out += key.journal;
    append_number(out, value);
    out += '\n';
  }
};

}  // namespace

void append_access_text(std::string& out, const AccessRecord& record, bool timed) {
  if (timed) out.append(log::timestamp()) += ' ';
  out += "access";
  TextWriter writer{out};
  write_fields(writer, record);
  out += '\n';
}

void append_access_json(std::string& out, const AccessRecord& record) {
  out += "{\"time\":\"";
  out += log::timestamp();
  out += "\",\"type\":\"access\"";
  JsonWriter writer{out};
  write_fields(writer, record);
  out += "}\n";
}

void append_access_fields(std::string& out, const AccessRecord& record) {
  JournalWriter writer{out};
  write_fields(writer, record);
}

}  // namespace sallyport
