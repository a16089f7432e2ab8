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
  char* at;
  void text(const Key& key, std::string_view value) noexcept {
    if (value.empty()) return;
    at = put_escaped(put(at, key.text), value);
    if (key.quoted()) *at++ = '"';
  }
  void number(const Key& key, uint64_t value) noexcept { at = put_number(put(at, key.text), value); }
};

struct JsonWriter {
  char* at;
  void text(const Key& key, std::string_view value) noexcept {
    if (!value.empty()) at = put_json(put(at, key.json), value);
  }
  void number(const Key& key, uint64_t value) noexcept { at = put_number(put(at, key.json), value); }
};

struct JournalWriter {
  char* at;
  void text(const Key& key, std::string_view value) noexcept {
    if (value.empty()) return;
    at = put_escaped(put(at, key.journal), value);
    *at++ = '\n';
  }
  void number(const Key& key, uint64_t value) noexcept {
    at = put_number(put(at, key.journal), value);
    *at++ = '\n';
  }
};

// What the names of all fields take, with what goes around the values, the numbers, the time and the client's address.
constexpr size_t kFixedRoom = 2048;

// In the format that takes most.
size_t room_for(const AccessRecord& r) noexcept {
  size_t size = 0;
  for (std::string_view value : {r.listener, r.service, r.server, r.mode, r.sni, r.host, r.method, r.path, r.reason})
    size += json_room(value.size());
  return kFixedRoom + size;
}

}  // namespace

void append_access_text(TextBuffer& out, const AccessRecord& record, bool timed) {
  TextWriter writer{out.room(room_for(record))};
  if (timed) writer.at = put(put(writer.at, log::timestamp()), " ");
  writer.at = put(writer.at, "access");
  write_fields(writer, record);
  out.commit(put(writer.at, "\n"));
}

void append_access_json(TextBuffer& out, const AccessRecord& record) {
  JsonWriter writer{out.room(room_for(record))};
  writer.at = put(put(put(writer.at, "{\"time\":\""), log::timestamp()), "\",\"type\":\"access\"");
  write_fields(writer, record);
  out.commit(put(writer.at, "}\n"));
}

void append_access_fields(TextBuffer& out, const AccessRecord& record) {
  JournalWriter writer{out.room(room_for(record))};
  write_fields(writer, record);
  out.commit(writer.at);
}

}  // namespace sallyport
