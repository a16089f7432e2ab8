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

// The one list of fields, in the order of the lines.
template <class Writer>
void write_fields(Writer& w, const AccessRecord& r) {
  char ip[112];
  w.text({" client=", ",\"client\":", "SALLYPORT_CLIENT="}, {ip, r.client.write_ip(ip)});
  w.text({" listener=", ",\"listener\":", "SALLYPORT_LISTENER="}, r.listener);
  w.text({" service=", ",\"service\":", "SALLYPORT_SERVICE="}, r.service);
  w.text({" server=", ",\"server\":", "SALLYPORT_SERVER="}, r.server);
  w.text({" mode=", ",\"mode\":", "SALLYPORT_MODE="}, r.mode);
  w.text({" sni=\"", ",\"sni\":", "SALLYPORT_SNI="}, r.sni);
  w.text({" host=\"", ",\"host\":", "SALLYPORT_HOST="}, r.host);
  w.text({" method=\"", ",\"method\":", "SALLYPORT_METHOD="}, r.method);
  w.text({" path=\"", ",\"path\":", "SALLYPORT_PATH="}, r.path);
  if (r.status != 0)
    w.number({" status=", ",\"status\":", "SALLYPORT_STATUS="}, static_cast<uint64_t>(r.status));
  w.number({" in=", ",\"bytes_in\":", "SALLYPORT_BYTES_IN="}, r.bytes_in);
  w.number({" out=", ",\"bytes_out\":", "SALLYPORT_BYTES_OUT="}, r.bytes_out);
  const auto time = [&](const Key& key, int64_t milliseconds) {
    if (milliseconds >= 0) w.number(key, static_cast<uint64_t>(milliseconds));
  };
  time({" handshake_ms=", ",\"handshake_ms\":", "SALLYPORT_HANDSHAKE_MS="}, r.handshake_ms);
  time({" connect_ms=", ",\"connect_ms\":", "SALLYPORT_CONNECT_MS="}, r.connect_ms);
  time({" first_byte_ms=", ",\"first_byte_ms\":", "SALLYPORT_FIRST_BYTE_MS="}, r.first_byte_ms);
  time({" total_ms=", ",\"total_ms\":", "SALLYPORT_TOTAL_MS="}, r.total_ms);
  w.text({" end=", ",\"end\":", "SALLYPORT_END="}, name_of(r.end));
  w.text({" reason=\"", ",\"reason\":", "SALLYPORT_REASON="}, r.reason);
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
