#include "demux/client_hello.h"

#include <algorithm>
#include <bitset>

#include "base/host.h"

namespace sallyport {
namespace {

constexpr size_t kRecordHeader = 5;
constexpr size_t kMaxRecord = 16 * 1024;  // RFC 8446 section 5.1, plaintext
constexpr size_t kMessageHeader = 4;
constexpr size_t kMaxMessage = 64 * 1024;  // without its header
constexpr uint8_t kHandshakeRecord = 22;
constexpr uint8_t kClientHelloMessage = 1;
constexpr size_t kMaxName = 255;  // kept of a name; a host's has 254 at most, so one that was cut is invalid

constexpr uint16_t kServerName = 0;
constexpr uint16_t kAlpn = 16;
constexpr uint16_t kSupportedVersions = 43;

size_t length_at(Bytes bytes, size_t at) noexcept { return static_cast<size_t>(bytes[at] << 8 | bytes[at + 1]); }

// Reads a handshake message across record borders. find_message() has seen that every record header is sound and that
// the whole message is there, so only the lengths within the message need checking: the first one that disagrees fails
// the reader for good, and every read after that gives 0.
class MessageReader {
 public:
  MessageReader(Bytes wire, size_t message_size) noexcept : wire_(wire), left_(message_size) {}

  bool failed() const noexcept { return failed_; }
  size_t left() const noexcept { return left_; }  // in the innermost open vector

  uint32_t number(size_t width) noexcept {
    uint32_t value = 0;
    if (!reserve(width)) return 0;
    for (; width > 0; --width) {
      next_record();
      value = value << 8 | wire_[at_++];
      --fragment_;
    }
    return value;
  }

  void skip(size_t count) noexcept { take(count, nullptr); }
  void copy(size_t count, char* out) noexcept { take(count, out); }

  // Enters a vector with a length of `width` bytes in front; gives what close() needs to leave it.
  size_t open(size_t width) noexcept { return enter(number(width)); }
  size_t enter(size_t length) noexcept {
    if (length > left_) fail();
    if (failed_) return 0;
    size_t outside = left_ - length;
    left_ = length;
    return outside;
  }
  // Leaves a vector, which must have been read to its end.
  void close(size_t outside) noexcept {
    if (left_ != 0) fail();
    if (!failed_) left_ = outside;
  }
  void fail() noexcept {
    failed_ = true;
    left_ = 0;
  }

 private:
  bool reserve(size_t count) noexcept {
    if (count > left_) fail();
    if (failed_) return false;
    left_ -= count;
    return true;
  }
  void next_record() noexcept {
    if (fragment_ > 0) return;
    fragment_ = length_at(wire_, at_ + 3);
    at_ += kRecordHeader;
  }
  void take(size_t count, char* out) noexcept {
    if (!reserve(count)) return;
    while (count > 0) {
      next_record();
      size_t here = std::min(count, fragment_);
      if (out != nullptr) out = std::copy_n(wire_.begin() + static_cast<ptrdiff_t>(at_), here, out);
      at_ += here;
      fragment_ -= here;
      count -= here;
    }
  }

  Bytes wire_;
  size_t at_ = 0;
  size_t fragment_ = 0;  // left of the record that at_ is in
  size_t left_;
  bool failed_ = false;
};

struct Found {
  HelloParse parse;
  size_t message_size = 0;  // with its header, when done
  const char* why = nullptr;
};

// Walks the records from where `progress` stands until the message is whole. Nothing is copied.
Found find_message(Bytes seen, HelloProgress& progress) noexcept {
  for (;;) {
    Bytes record = seen.subspan(progress.record);
    size_t needed = kRecordHeader;
    if (record.size() >= kRecordHeader) {
      if (record[0] != kHandshakeRecord) return {HelloParse::malformed, 0, "another record type within the hello"};
      if (record[1] != 3 || record[2] > 4) return {HelloParse::malformed, 0, "a record version that is not TLS"};
      size_t length = length_at(record, 3);
      if (length == 0) return {HelloParse::malformed, 0, "an empty handshake record"};
      if (length > kMaxRecord) return {HelloParse::malformed, 0, "a record over 16 KiB"};
      Bytes payload = record.subspan(kRecordHeader, std::min(length, record.size() - kRecordHeader));

      uint32_t header = progress.header;
      size_t message = progress.message_seen;
      for (size_t i = 0; i < payload.size() && message + i < kMessageHeader; ++i) {
        header = header << 8 | payload[i];
        if (message + i == 0 && header != kClientHelloMessage)
          return {HelloParse::malformed, 0, "a handshake message that is not a ClientHello"};
      }
      size_t known = message + payload.size();
      size_t end = known == 0 ? 1 : kMessageHeader;  // the type alone may refuse it
      if (known >= kMessageHeader) {
        size_t body = header & 0xffffff;
        if (body > kMaxMessage) return {HelloParse::too_large, 0, "a ClientHello over 64 KiB"};
        end += body;
        if (known >= end) return {HelloParse::done, end};
      }
      if (payload.size() == length) {
        progress.record += static_cast<uint32_t>(kRecordHeader + length);
        progress.message_seen += static_cast<uint32_t>(length);
        progress.header = header;
        continue;
      }
      needed += std::min(length, end - message);
    }
    progress.at_least = static_cast<uint32_t>(progress.record + needed);
    if (progress.at_least > kMaxHelloBytes)
      return {HelloParse::too_large, 0, "a ClientHello cut into too many records"};
    return {HelloParse::need_more};
  }
}

void keep_name(std::string_view name, ClientHello& out) {
  std::string_view bare = name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
  if (name.find('\0') == std::string_view::npos && is_ip_literal(bare)) {
    out.sni_kind = ClientHello::Sni::ip_literal;
    out.sni = name;
  } else if (is_host_name(name)) {
    out.sni_kind = ClientHello::Sni::name;
    out.sni = normalized_host(name);
  } else {
    out.sni_kind = ClientHello::Sni::invalid;
    out.sni = name;
  }
}

// RFC 6066 section 3: at most one name of each type. Types other than host_name were never defined; those to come begin
// with a length as well.
void read_server_name(MessageReader& in, ClientHello& out) {
  size_t outside = in.open(2);
  if (in.left() == 0) in.fail();
  while (in.left() > 0) {
    bool host_name = in.number(1) == 0;
    size_t rest = in.open(2);
    size_t length = in.left();
    if (length == 0 || (host_name && out.sni_kind != ClientHello::Sni::none)) return in.fail();
    if (host_name) {
      char name[kMaxName];
      size_t kept = std::min(length, sizeof name);
      in.copy(kept, name);
      keep_name({name, kept}, out);
    }
    in.skip(in.left());
    in.close(rest);
  }
  in.close(outside);
}

void read_alpn(MessageReader& in, ClientHello& out) noexcept {
  size_t outside = in.open(2);
  if (in.left() == 0) in.fail();
  out.has_alpn = true;
  while (in.left() > 0) {
    char name[255] = {};
    size_t rest = in.open(1);
    size_t length = in.left();
    if (length == 0) return in.fail();
    in.copy(length, name);
    in.close(rest);
    std::string_view protocol(name, length);
    if (protocol == "h2") out.offers_h2 = true;
    if (protocol == "http/1.1") out.offers_http1 = true;
    if (protocol == "acme-tls/1") out.offers_acme = true;
  }
  in.close(outside);
}

// RFC 8446 section 4.2.1: where this extension stands, it alone counts. GREASE values and drafts are not of the form
// 03xx.
void read_supported_versions(MessageReader& in, ClientHello& out) noexcept {
  size_t outside = in.open(1);
  if (in.left() == 0) in.fail();
  out.max_version = 0;
  while (in.left() > 0) {
    auto version = static_cast<uint16_t>(in.number(2));
    if (version >> 8 == 3) out.max_version = std::max(out.max_version, version);
  }
  in.close(outside);
}

void read_extensions(MessageReader& in, ClientHello& out) {
  std::bitset<65536> met;  // on the stack: 8 KiB, cheaper than any way to look only for the types that came
  size_t outside = in.open(2);
  while (in.left() > 0) {
    auto type = static_cast<uint16_t>(in.number(2));
    size_t rest = in.open(2);
    if (in.failed() || met[type]) return in.fail();
    met[type] = true;
    if (type == kServerName)
      read_server_name(in, out);
    else if (type == kAlpn)
      read_alpn(in, out);
    else if (type == kSupportedVersions)
      read_supported_versions(in, out);
    else
      in.skip(in.left());
    in.close(rest);
  }
  in.close(outside);
}

const char* read_hello(MessageReader& in, ClientHello& out) {
  in.skip(kMessageHeader);
  auto version = static_cast<uint16_t>(in.number(2));
  if (!in.failed() && version < 0x0300) return "a ClientHello older than SSL 3";
  out.max_version = std::min<uint16_t>(version, 0x0303);  // higher ones are offered by the extension only
  in.skip(32);                                            // random

  size_t rest = in.open(1);
  if (in.left() > 32) return "a session id over 32 bytes";
  in.skip(in.left());
  in.close(rest);

  rest = in.open(2);
  if (!in.failed() && (in.left() == 0 || in.left() % 2 != 0)) return "a list of cipher suites of odd length";
  in.skip(in.left());
  in.close(rest);

  rest = in.open(1);
  if (!in.failed() && in.left() == 0) return "no compression method";
  in.skip(in.left());
  in.close(rest);

  if (in.left() > 0) read_extensions(in, out);  // absent in hellos before TLS 1.2
  if (in.failed() || in.left() != 0) return "lengths in the ClientHello that disagree, or an extension twice";
  return nullptr;
}

}  // namespace

HelloParse parse_client_hello(Bytes seen, ClientHello& out, const char** why, HelloProgress* progress) {
  HelloProgress from_the_start;
  if (progress == nullptr) progress = &from_the_start;
  if (seen.size() < progress->at_least) return HelloParse::need_more;
  // So that the answer does not depend on how much came at once.
  seen = seen.first(std::min(seen.size(), kMaxHelloBytes));

  Found found = find_message(seen, *progress);
  if (found.parse == HelloParse::done) {
    out = ClientHello{};
    MessageReader reader(seen, found.message_size);
    found.why = read_hello(reader, out);
    if (found.why != nullptr) found.parse = HelloParse::malformed;
  }
  if (why != nullptr && found.why != nullptr) *why = found.why;
  return found.parse;
}

}  // namespace sallyport
