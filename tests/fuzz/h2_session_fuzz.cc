// folders: http
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/format.h"
#include "expect.h"
#include "http/h2_session.h"

using namespace sallyport;
using namespace sallyport::http;

namespace {

// The first byte of an input says how the rest is used.
constexpr uint8_t kClient = 1;  // our side
constexpr uint8_t kShort = 2;   // frames in a short form: see expand(); else bytes as they are on the wire
constexpr uint8_t kActive = 4;  // the owner answers, resets, consumes, forgets; else it only listens
constexpr uint8_t kTight = 8;   // small limits and windows
constexpr uint8_t kBare = 16;   // without the preface and SETTINGS that others get

bool is_clean(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void expect_clean(const HeaderList& fields) {
  fields.for_each([](const Header& field, HeaderId id) {
    FUZZ_EXPECT(is_token(field.name) && is_field_value(field.value));
    FUZZ_EXPECT(id != HeaderId::transfer_encoding && id != HeaderId::connection && id != HeaderId::content_length);
    for (char c : field.name) FUZZ_EXPECT(c < 'A' || c > 'Z');
  });
}

// What came in on one side goes out on the other, as a proxy's does.
void pass_on(const HeaderList& from, HeaderList& to) {
  from.for_each([&](const Header& field, HeaderId) { to.add(field.name, field.value, field.never_indexed); });
}

struct Stream : H2Stream {
  explicit Stream(ChunkPool& pool, int number_in) : H2Stream(pool), number(number_in) {
    request = &request_head;
    response = &response_head;
    trailers = &trailer_fields;
  }
  int number;
  RequestHead request_head;
  ResponseHead response_head;
  HeaderList trailer_fields, out_trailers;
  size_t unconsumed = 0;
  bool head = false, final_head = false, ended = false, answered = false;
};

class World : public H2Session::Owner {
 public:
  World(bool client, bool active, bool tight, uint32_t seed)
      : client_(client),
        active_(active),
        random_(seed | 1),
        limits_(make_limits(tight)),
        out_scan_(client),
        session_(client ? H2Session::Role::client : H2Session::Role::server, *this, limits_, 0) {
    if (client)
      for (int i = 0; i < 3; ++i) open_one();
  }
  virtual ~World() = default;

  void feed(Bytes bytes) {
    if (session_.failed()) return;
    const bool going = session_.receive(bytes, now_ms_);
    FUZZ_EXPECT(going != session_.failed());
    FUZZ_EXPECT((*session_.failure() != '\0') == session_.failed());
    check();
  }
  void act() {
    if (!active_) return;
    for (uint32_t i = pick(3); i > 0; --i) act_once(nullptr);
    now_ms_ += pick(50);
    check();
  }
  void finish() {
    if (pick(2) == 0 || !active_) session_.produce(SIZE_MAX);
    check();
    log_ += session_.failure();
    session_.close_all();
    FUZZ_EXPECT(streams_.empty());
    FUZZ_EXPECT(session_.streams() == 0);
    FUZZ_EXPECT(session_.buffered() == 0);
    FUZZ_EXPECT(pool_.in_use() == 0);
  }
  std::string& log() { return log_; }
  bool failed() const { return session_.failed(); }

  H2Stream* h2_open() override {
    FUZZ_EXPECT(!client_);
    log_ += "open\n";
    if (active_ && pick(8) == 0) return nullptr;
    // nghttp2 counts what is refused, too, until it has said so.
    FUZZ_EXPECT(streams_.size() < limits_.streams);
    return &add();
  }
  void h2_head(H2Stream& s, bool too_large) override {
    Stream& stream = live(s);
    FUZZ_EXPECT(!stream.final_head && !stream.ended);
    FUZZ_EXPECT(!too_large || !client_);
    stream.head = true;
    log_ += fmt::format("{} head {} {}\n", stream.number, stream.request_head.method, stream.response_head.status);
    if (client_) {
      stream.final_head = !stream.response_head.interim();
      FUZZ_EXPECT(stream.response_head.status >= 100 && stream.response_head.status <= 999);
      FUZZ_EXPECT(stream.response_head.status != 101);
      expect_clean(stream.response_head.fields);
      seen_.clear();
      pass_on(stream.response_head.fields, seen_);
    } else {
      stream.final_head = true;
      if (!too_large) expect_good(stream.request_head);
    }
    act_once(&stream);
  }
  void h2_data(H2Stream& s, Bytes piece) override {
    Stream& stream = live(s);
    FUZZ_EXPECT(stream.final_head && !stream.ended && !piece.empty());
    // Not in the log: of a DATA frame that breaks a rule, more or less is heard, as it was cut.
    stream.unconsumed += piece.size();
    FUZZ_EXPECT(stream.unconsumed <= 1024 * 1024);
    act_once(&stream);
  }
  void h2_end(H2Stream& s) override {
    Stream& stream = live(s);
    FUZZ_EXPECT(stream.final_head && !stream.ended);
    stream.ended = true;
    FUZZ_EXPECT(stream.end_received());
    expect_clean(stream.trailer_fields);
    FUZZ_EXPECT(stream.request_head.connect_protocol.empty() || stream.trailer_fields.empty());
    log_ += fmt::format("{} end\n", stream.number);
    act_once(&stream);
  }
  void h2_sent(H2Stream& s) override { act_once(&live(s)); }
  void h2_closed(H2Stream& s, H2Code code, bool unprocessed) override {
    Stream& stream = live(s);
    FUZZ_EXPECT(stream.id() == 0);
    FUZZ_EXPECT(!unprocessed || (client_ && !stream.final_head));
    FUZZ_EXPECT(code != H2Code::no_error || stream.ended || stream.end_received());
    log_ += fmt::format("{} closed {}\n", stream.number, static_cast<uint32_t>(code));
    streams_.erase(stream.number);
  }
  void h2_changed() override { act_once(nullptr); }
  void h2_write(Bytes head, Bytes payload) override {
    if (!client_ && !std::exchange(began_, true)) expect_limit(head);
    write(head);
    write(payload);
  }

 private:
  static H2Limits make_limits(bool tight) {
    H2Limits limits;
    if (!tight) return limits;
    limits.streams = 3;
    limits.stream_window = 100;
    limits.connection_window = 65535;
    limits.fields = {200, 6};
    limits.resets = 3;
    limits.control = 20;
    return limits;
  }

  uint32_t pick(uint32_t below) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_ % below;
  }

  Stream& live(H2Stream& s) {
    auto& stream = static_cast<Stream&>(s);
    const auto found = streams_.find(stream.number);
    FUZZ_EXPECT(found != streams_.end() && found->second.get() == &stream);
    return stream;
  }
  Stream& add() {
    const int number = next_++;
    return *(streams_[number] = std::make_unique<Stream>(pool_, number));
  }
  void open_one() {
    if (streams_.size() > 8) return;
    Stream& stream = add();
    stream.request_head.method = pick(4) == 0 ? "HEAD" : "POST";
    stream.request_head.target = "/";
    stream.request_head.authority = "a.example";
    if (pick(2) == 0) pass_on(seen_, stream.request_head.fields);
    const bool ended = pick(2) == 0;
    if (session_.open(stream, stream.request_head, "https", pick(8) == 0 ? "websocket" : "", ended)) return;
    FUZZ_EXPECT(session_.streams_allowed() == 0);
    streams_.erase(stream.number);
  }

  // RFC 9113 section 3.4: SETTINGS come first, and name the limit that is kept to.
  void expect_limit(Bytes frame) {
    const uint32_t most = limits_.streams;
    const char wanted[] = {0,
                           3,
                           static_cast<char>(most >> 24),
                           static_cast<char>(most >> 16 & 0xff),
                           static_cast<char>(most >> 8 & 0xff),
                           static_cast<char>(most & 0xff)};
    FUZZ_EXPECT(frame.size() > 9 && frame[3] == static_cast<uint8_t>(H2Type::settings));
    FUZZ_EXPECT(as_text(frame.subspan(9)).find(std::string_view(wanted, sizeof wanted)) % 6 == 0);
  }

  static void expect_good(const RequestHead& head) {
    FUZZ_EXPECT(is_token(head.method));
    FUZZ_EXPECT(is_clean(head.target) && is_clean(head.authority) && is_clean(head.connect_protocol));
    FUZZ_EXPECT(head.method == "CONNECT" || head.target == "*" || head.target.front() == '/');
    std::string host;
    uint16_t port = 0;
    FUZZ_EXPECT(parse_authority(head.authority, host, port));
    FUZZ_EXPECT(host == head.host && port == head.authority_port);
    FUZZ_EXPECT(head.connect_protocol.empty() || head.method == "CONNECT");
    FUZZ_EXPECT(!head.fields.find(HeaderId::host));
    FUZZ_EXPECT(head.fields.count(HeaderId::cookie) <= 1);
    expect_clean(head.fields);
  }

  // One thing an owner may do, to this stream or to any.
  void act_once(Stream* stream) {
    if (!active_) return;
    if (stream == nullptr && !streams_.empty() && pick(4) != 0) {
      auto at = streams_.begin();
      std::advance(at, pick(static_cast<uint32_t>(streams_.size())));
      stream = at->second.get();
    }
    if (stream == nullptr) return act_on_connection();
    const std::string body(pick(40) == 0 ? 40000 : pick(300), 'x');
    switch (pick(12)) {
      case 0: session_.reset(*stream, static_cast<H2Code>(pick(14))); break;
      case 1:
        session_.forget(*stream);
        FUZZ_EXPECT(stream->id() == 0);
        streams_.erase(stream->number);
        break;
      case 2:
      case 3: {
        const size_t count = pick(2) == 0 ? stream->unconsumed : std::min<size_t>(pick(1000), stream->unconsumed);
        stream->unconsumed -= count;
        session_.consume(*stream, count);
        break;
      }
      case 4: session_.prioritize(*stream, pick(2) == 0 ? "u=1, i" : "u=6"); break;
      case 5:
        if (!client_ && stream->final_head && !stream->answered) {
          ResponseHead interim;
          interim.status = 103;
          session_.respond_interim(*stream, interim);
        }
        break;
      case 6:
      case 7:
        if (!client_ && stream->final_head && !stream->answered) {
          stream->answered = true;
          ResponseHead head;
          head.status = 200;
          head.body = Body::chunked;
          head.fields.add("Server", "x", pick(2) == 0);
          pass_on(stream->request_head.fields, head.fields);
          session_.respond(*stream, head, pick(3) == 0);
        }
        break;
      case 8:
        if (pick(3) == 0) stream->out_trailers.add("Sum", "1");
        if (pick(2) == 0) pass_on(stream->trailer_fields, stream->out_trailers);
        session_.end(*stream, &stream->out_trailers);
        break;
      default: session_.send(*stream, as_bytes(body));
    }
  }
  void act_on_connection() {
    switch (pick(client_ ? 3 : 40)) {
      case 0:
        if (client_) open_one();
        break;
      case 1:
        if (!client_) session_.announce_shutdown();
        break;
      case 2:
        if (!client_) session_.shut(H2Code::no_error, "bye");
        break;
      case 3: session_.fail(H2Code::internal_error, "because"); break;
      default: break;
    }
  }

 public:
  void produce() {
    if (!active_ || pick(3) == 0) return;
    session_.produce(pick(2) == 0 ? SIZE_MAX : 1 + pick(20000));
    check();
  }

 private:
  void check() {
    size_t pending = 0;
    for (const auto& [number, stream] : streams_) {
      pending += stream->pending();
      FUZZ_EXPECT(!stream->end_sent() || stream->pending() == 0);
    }
    FUZZ_EXPECT(session_.buffered() == pending);
    FUZZ_EXPECT(!client_ || session_.streams_allowed() <= 1000);
  }

  // What goes out has the form of frames that may stand there.
  void write(Bytes bytes) {
    H2FrameScan::Piece piece;
    while (out_scan_.next(bytes, piece)) {
      if (!piece.begins) continue;
      H2Code code{};
      const char* why = "";
      FUZZ_EXPECT(out_scan_.check(client_, code, why));
      if (!active_)
        log_ += fmt::format("wrote {} {} {}\n", static_cast<int>(out_scan_.frame().type), out_scan_.frame().stream,
                            out_scan_.frame().length);
    }
  }

  bool client_, active_;
  bool began_ = false;
  HeaderList seen_;  // fields of the last response
  uint32_t random_;
  H2Limits limits_;
  ChunkPool pool_;
  std::map<int, std::unique_ptr<Stream>> streams_;
  std::string log_;
  uint64_t now_ms_ = 0;
  int next_ = 0;
  H2FrameScan out_scan_;
  H2Session session_;
};

// Type, flags, stream, length, payload; with the type's bit 0x40 the length counts in 64 bytes, repeated from what
// there is.
std::string expand(Bytes bytes) {
  std::string out;
  while (bytes.size() >= 4) {
    const uint8_t type = bytes[0] & 0x3f;
    const size_t have = std::min<size_t>(bytes[3], bytes.size() - 4);
    const size_t length = (bytes[0] & 0x40) != 0 ? size_t{bytes[3]} * 64 : have;
    out += static_cast<char>(length >> 16);
    out += static_cast<char>(length >> 8 & 0xff);
    out += static_cast<char>(length & 0xff);
    out += static_cast<char>(type);
    out += static_cast<char>(bytes[1]);
    out.append(3, '\0');
    out += static_cast<char>(bytes[2]);
    const std::string_view payload = as_text(bytes.subspan(4, have));
    for (size_t i = 0; i < length; ++i) out += payload.empty() ? '\0' : payload[i % payload.size()];
    bytes = bytes.subspan(4 + have);
  }
  return out;
}

std::string listen(bool client, bool tight, std::string_view bytes, size_t step) {
  World world(client, false, tight, 1);
  for (size_t at = 0; at < bytes.size() && !world.failed(); at += step) {
    const std::string piece(bytes.substr(at, step));  // of its own: a read past its end is seen
    world.feed(as_bytes(piece));
  }
  world.finish();
  return world.log();
}

}  // namespace

// Any frames, in any pieces, and an owner that does anything: heads are clean, calls come in order, every stream ends
// once, nothing leaks; and how the bytes were cut makes no difference.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 60000) return 0;
  const uint8_t mode = data[0];
  const bool client = (mode & kClient) != 0, tight = (mode & kTight) != 0;
  std::string bytes;
  if ((mode & kBare) == 0) {
    if (!client) bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    bytes += std::string("\0\0\0\4\0\0\0\0\0", 9);
  }
  const Bytes rest = Bytes(data, size).subspan(1);
  bytes += (mode & kShort) != 0 ? expand(rest) : std::string(as_text(rest));
  if (bytes.size() > 200000) return 0;

  if ((mode & kActive) == 0) {
    const std::string whole = listen(client, tight, bytes, bytes.size());
    FUZZ_EXPECT(listen(client, tight, bytes, 7) == whole);
    if (bytes.size() <= 4096) FUZZ_EXPECT(listen(client, tight, bytes, 1) == whole);
    return 0;
  }
  uint32_t seed = 2166136261;
  for (size_t i = 0; i < size; ++i) seed = (seed ^ data[i]) * 16777619;
  World world(client, true, tight, seed);
  std::string_view left = bytes;
  while (!left.empty() && !world.failed()) {
    const size_t step = std::min<size_t>(left.size(), 1 + (seed = seed * 1664525 + 1013904223) % 300);
    const std::string piece(left.substr(0, step));
    world.feed(as_bytes(piece));
    left.remove_prefix(step);
    world.act();
    world.produce();
  }
  world.finish();
  return 0;
}
