#include "layers/access_format.h"

#include <algorithm>

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

// The one list of fields, in the order of the lines. client: its address as text.
template <class Writer>
void write_fields(Writer& w, const AccessRecord& r, std::string_view client) {
  w.text(kClient, client);
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

// How much the fields take at the most, in whichever format.
struct Room {
  size_t size = 0;
  void add(const Key& key, size_t value) noexcept {
    size += std::max({key.text.size(), key.json.size(), key.journal.size()}) + value + 1;  // a quote or a line's end
  }
  void text(const Key& key, std::string_view value) noexcept {
    add(key, std::max(escaped_room(value.size()), json_room(value.size())));
  }
  void number(const Key& key, uint64_t) noexcept { add(key, kNumberRoom); }
};

template <class Writer, class Begin>
void append_fields(TextBuffer& out, const AccessRecord& record, Begin&& begin, std::string_view end) {
  constexpr size_t kTime = 64;  // with the words around it
  char ip[112];
  const std::string_view client(ip, record.client.write_ip(ip));
  Room room;
  write_fields(room, record, client);
  Writer writer{begin(out.room(kTime + room.size + end.size()))};
  write_fields(writer, record, client);
  out.commit(put(writer.at, end));
}

}  // namespace

void append_access_text(TextBuffer& out, const AccessRecord& record, bool timed) {
  const auto begin = [&](char* at) {
    if (timed) at = put(put(at, log::timestamp()), " ");
    return put(at, "access");
  };
  append_fields<TextWriter>(out, record, begin, "\n");
}

void append_access_json(TextBuffer& out, const AccessRecord& record) {
  const auto begin = [](char* at) {
    return put(put(put(at, "{\"time\":\""), log::timestamp()), "\",\"type\":\"access\"");
  };
  append_fields<JsonWriter>(out, record, begin, "}\n");
}

void append_access_fields(TextBuffer& out, const AccessRecord& record) {
  append_fields<JournalWriter>(
      out, record, [](char* at) { return at; }, "");
}

}  // namespace sallyport
