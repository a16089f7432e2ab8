// What RFC 9113 sections 3 to 8 and RFC 7541 demand of a server, frame by frame.
#include "catch.h"
#include "http/h2_world.h"

using namespace sallyport;
using namespace sallyport::http;

namespace {

struct Outcome {
  std::string text;      // "GOAWAY CODE", "RST n CODE", "HEADERS n" …, without SETTINGS, WINDOW_UPDATE and their like
  bool received = true;  // what receive() said of the last piece
  std::string failure;
};

// PING last: its ACK overtakes the rest, unless that was written before the PING came.
std::string show(const std::vector<Frame>& frames) {
  std::string out;
  bool ping = false;
  for (const Frame& f : frames) {
    if (f.type == kPing) ping = true;
    if (f.type == kSettings || f.type == kWindowUpdate || f.type == kPing) continue;
    if (!out.empty()) out += ", ";
    out += type_name(f.type);
    if (f.type == kGoaway)
      out += std::string(" ") + name_of(static_cast<H2Code>(f.word(4)));
    else if (f.type == kRst)
      out += fmt::format(" {} {}", f.stream, name_of(static_cast<H2Code>(f.word(0))));
    else if (f.stream != 0)
      out += fmt::format(" {}", f.stream);
  }
  if (ping) out += out.empty() ? "PING" : ", PING";
  return out;
}

// A server that answers 200 without a body as soon as a request has ended.
Outcome run(std::string_view bytes, size_t step) {
  ServerEnd server;
  server.on_end = [&](TestStream& stream) { server.session.respond(stream, response(200, Body::none), true); };
  std::string sent = server.take();
  Outcome outcome;
  for (size_t at = 0; at < bytes.size(); at += step) {
    // Each piece in memory of its own: a read past its end is seen by the sanitizer.
    const std::string piece(bytes.substr(at, step));
    outcome.received = server.receive(piece);
    sent += server.take();
    if (!outcome.received) break;
  }
  outcome.text = show(frames_of(sent));
  outcome.failure = server.session.failure();
  CHECK(server.session.failed() != outcome.received);
  CHECK((*server.session.failure() != '\0') == server.session.failed());
  server.session.close_all();
  for (const auto& stream : server.streams) CHECK(stream->closed);
  CHECK(server.pool.in_use() == 0);
  return outcome;
}

const std::string kAsk = frame(kPing, 0, 0, "12345678");

struct Row {
  const char* name;
  std::string bytes;  // behind the preface
  std::string expected;
  std::string at_once{};  // when it all comes before anything is written; empty: the same
};

// Whole, and cut at every byte, with the same outcome.
void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const std::string bytes = preface() + row.bytes;
    const Outcome whole = run(bytes, bytes.size());
    CHECK(whole.text == (row.at_once.empty() ? row.expected : row.at_once));
    if (bytes.size() > 20000) continue;
    const Outcome cut = run(bytes, 1);
    CHECK(cut.text == row.expected);
    CHECK(cut.received == whole.received);
    if (row.at_once.empty()) CHECK(cut.failure == whole.failure);
    CHECK(whole.received == (row.expected.find("GOAWAY") == std::string::npos));
  }
}

std::string request(uint32_t stream) { return headers(stream, get()); }
std::string begun(uint32_t stream) { return headers(stream, post(), kEndHeaders); }

}  // namespace

TEST_CASE("h2 rules: starting (RFC 9113 section 3.4)") {
  for (size_t step : {size_t{1}, size_t{1000}}) {
    CHECK(run(preface() + kAsk, step).text == "PING");
    CHECK(run("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", step).text == "GOAWAY PROTOCOL_ERROR");
    CHECK(run("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r" + settings(), step).text == "GOAWAY PROTOCOL_ERROR");
    // The first frame must be SETTINGS, and no ACK.
    CHECK(run("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + kAsk, step).text == "GOAWAY PROTOCOL_ERROR");
    CHECK(run("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, kAck, 0), step).text == "GOAWAY PROTOCOL_ERROR");
  }
  ServerEnd server;
  const auto frames = server.take_frames();
  REQUIRE(!frames.empty());
  CHECK(frames[0].type == kSettings);
  CHECK(frames[0].flags == 0);
  // INITIAL_WINDOW_SIZE, MAX_HEADER_LIST_SIZE, MAX_CONCURRENT_STREAMS, ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES.
  CHECK(frames[0].payload == setting(4, 65536) + setting(6, 32768) + setting(3, 100) + setting(8, 1) + setting(9, 1));
  REQUIRE(frames.size() == 2);
  CHECK(frames[1].type == kWindowUpdate);
  CHECK(frames[1].stream == 0);
  CHECK(frames[1].word(0) == 1024 * 1024 - 65535);
}

TEST_CASE("h2 rules: frames (sections 4 and 5.5)") {
  check({
      {"a frame of an unknown type", frame(0xfa, 0xff, 0, "123") + kAsk, "PING"},
      {"one of an unknown type on a stream", frame(0xfa, 0xff, 7, "123") + request(1), "HEADERS 1"},
      {"undefined flags", frame(kPing, 0xfe, 0, "12345678"), "PING"},
      {"a reserved bit", frame(kPing, 0, 0x80000000, "12345678"), "PING"},
      {"a frame of 16384 bytes", begun(1) + data(1, std::string(16384, 'x'), kEndStream), "HEADERS 1"},
      {"a frame of 16385 bytes", begun(1) + data(1, std::string(16385, 'x')), "GOAWAY FRAME_SIZE_ERROR"},
      {"its head alone", begun(1) + frame_head(16385, kData, 0, 1), "GOAWAY FRAME_SIZE_ERROR"},
      {"an unknown one of that size", frame_head(16385, 0xfa, 0, 0), "GOAWAY FRAME_SIZE_ERROR"},
      {"HEADERS of that size", frame_head(16385, kHeaders, 5, 1), "GOAWAY FRAME_SIZE_ERROR"},
  });
}

TEST_CASE("h2 rules: streams (section 5.1)") {
  check({
      {"idle: DATA", data(1, "x"), "GOAWAY PROTOCOL_ERROR"},
      {"idle: RST_STREAM", rst(1, 8), "GOAWAY PROTOCOL_ERROR"},
      {"idle: WINDOW_UPDATE", window_update(1, 1), "GOAWAY PROTOCOL_ERROR"},
      {"idle: CONTINUATION", frame(kContinuation, kEndHeaders, 1, block(get())), "GOAWAY PROTOCOL_ERROR"},
      {"idle: PRIORITY", frame(kPriority, 0, 1, u32(0) + u8(15)) + kAsk, "PING"},
      {"half-closed: WINDOW_UPDATE, RST_STREAM", request(1) + window_update(1, 1) + rst(1, 8) + kAsk, "HEADERS 1, PING",
       "PING"},
      {"even", headers(2, get()), "GOAWAY PROTOCOL_ERROR"},
      {"going down", request(5) + request(3), "HEADERS 5, GOAWAY PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR"},
      {"going down, DATA", request(5) + data(3, "x"), "HEADERS 5, GOAWAY PROTOCOL_ERROR", "GOAWAY PROTOCOL_ERROR"},
      {"passed over: RST_STREAM", request(5) + rst(3, 8) + kAsk, "HEADERS 5, PING"},
      {"closed: DATA", request(1) + kAsk + data(1, "x"), "HEADERS 1, GOAWAY STREAM_CLOSED, PING",
       "GOAWAY STREAM_CLOSED"},
      {"reset by the peer: PRIORITY", begun(1) + rst(1, 8) + frame(kPriority, 0, 1, u32(0) + u8(15)) + kAsk, "PING"},
      {"reset by the peer: DATA", begun(1) + rst(1, 8) + data(1, "x"), "GOAWAY STREAM_CLOSED"},
      {"reset by the peer: HEADERS", begun(1) + rst(1, 8) + request(1), "GOAWAY STREAM_CLOSED"},
      {"reset by the peer: WINDOW_UPDATE", begun(1) + rst(1, 8) + window_update(1, 1) + kAsk, "PING"},
      {"reset by the peer: RST_STREAM", begun(1) + rst(1, 8) + rst(1, 8) + kAsk, "PING"},
      {"reset by us: what may still be under way",
       headers(1, get() + Fields{{"X", "1"}}, kEndHeaders) + data(1, "x") + window_update(1, 1) + rst(1, 8) + kAsk,
       "RST 1 PROTOCOL_ERROR, PING"},
  });
  // Half-closed by the peer, while the answer is still being written; and closed by both.
  for (const std::string& bytes : {data(1, "x"), request(1), headers(1, {{"x", "1"}})})
    for (bool answered : {false, true}) {
      ServerEnd server;
      server.receive(preface() + request(1));
      if (answered) server.session.respond(server.stream(0), response(200, Body::none), true);
      server.take();
      CHECK_FALSE(server.receive(bytes));
      CHECK(server.session.failure_code() == H2Code::stream_closed);
      CHECK(show(server.take_frames()) == "GOAWAY STREAM_CLOSED");
    }
}

TEST_CASE("h2 rules: more streams than allowed are refused (section 5.1.2)") {
  H2Limits limits;
  limits.streams = 2;
  for (bool acknowledged : {false, true}) {
    ServerEnd server(limits);
    server.take();
    server.receive(preface() + (acknowledged ? frame(kSettings, kAck, 0) : std::string()));
    server.receive(request(1) + request(3));
    const bool going = server.receive(headers(5, post(), kEndHeaders) + data(5, "x"));
    CHECK(server.streams.size() == 2);
    CHECK(show(server.take_frames()) == "RST 5 REFUSED_STREAM");
    CHECK(going);
    server.session.respond(server.stream(0), response(200, Body::none), true);
    server.session.respond(server.stream(1), response(200, Body::none), true);
    server.take();
    server.receive(data(5, "late") + request(7));
    CHECK(server.streams.size() == 3);
    CHECK_FALSE(server.session.failed());
  }
}

TEST_CASE("h2 rules: DATA and HEADERS (sections 6.1, 6.2)") {
  check({
      {"DATA on stream 0", data(0, "x"), "GOAWAY PROTOCOL_ERROR"},
      {"DATA, padded", begun(1) + data(1, u8(2) + "ab" + u16(0), kPadded | kEndStream), "HEADERS 1"},
      {"DATA, nothing but padding", begun(1) + data(1, u8(2) + u16(0), kPadded | kEndStream), "HEADERS 1"},
      {"DATA, padded over its end", begun(1) + data(1, u8(3) + "ab", kPadded), "GOAWAY PROTOCOL_ERROR"},
      {"DATA, padded without a length", begun(1) + data(1, "", kPadded), "GOAWAY FRAME_SIZE_ERROR"},
      {"HEADERS on stream 0", headers(0, get()), "GOAWAY PROTOCOL_ERROR"},
      {"HEADERS, padded", frame(kHeaders, 5 | kPadded, 1, u8(2) + block(get()) + u16(0)), "HEADERS 1"},
      {"HEADERS, padded over its end", frame(kHeaders, 5 | kPadded, 1, u8(9) + block({{"a", ""}})),
       "GOAWAY PROTOCOL_ERROR"},
      {"HEADERS, padded over its priority",
       frame(kHeaders, 5 | kPadded | kPriorityFlag, 1, u8(2) + u32(0) + u8(1) + "x"), "GOAWAY PROTOCOL_ERROR"},
      {"HEADERS too short for its flags", frame(kHeaders, 5 | kPriorityFlag, 1, "1234"), "GOAWAY FRAME_SIZE_ERROR"},
      {"HEADERS with priority", frame(kHeaders, 5 | kPriorityFlag, 1, u32(0) + u8(15) + block(get())), "HEADERS 1"},
      {"HEADERS, depends on itself", frame(kHeaders, 5 | kPriorityFlag, 1, u32(1) + u8(15) + block(get())),
       "GOAWAY PROTOCOL_ERROR"},
      {"HEADERS and CONTINUATION",
       frame(kHeaders, 1, 1, block(get()).substr(0, 10)) + frame(kContinuation, 0, 1, block(get()).substr(10, 9)) +
           frame(kContinuation, 0, 1) + frame(kContinuation, 4, 1, block(get()).substr(19)),
       "HEADERS 1"},
      {"CONTINUATION of another stream", frame(kHeaders, 1, 1, block(get())) + frame(kContinuation, 4, 3),
       "GOAWAY PROTOCOL_ERROR"},
      {"HEADERS before END_HEADERS", frame(kHeaders, 1, 1, block(get())) + request(3), "GOAWAY PROTOCOL_ERROR"},
      {"DATA before END_HEADERS", frame(kHeaders, 0, 1, block(get())) + data(1, "x"), "GOAWAY PROTOCOL_ERROR"},
      {"an unknown frame before END_HEADERS", frame(kHeaders, 1, 1, block(get())) + frame(0xfa, 0, 0),
       "GOAWAY PROTOCOL_ERROR"},
      {"PRIORITY before END_HEADERS",
       frame(kHeaders, 1, 1, block(get())) + frame(kPriority, 0, 1, u32(0) + u8(15)) + frame(kContinuation, 4, 1),
       "GOAWAY PROTOCOL_ERROR"},
      {"CONTINUATION after END_HEADERS", begun(1) + frame(kContinuation, 4, 1), "GOAWAY PROTOCOL_ERROR"},
      {"CONTINUATION after CONTINUATION with END_HEADERS",
       frame(kHeaders, 0, 1, block(post())) + frame(kContinuation, 4, 1) + frame(kContinuation, 4, 1),
       "GOAWAY PROTOCOL_ERROR"},
      {"CONTINUATION after DATA", begun(1) + data(1, "x") + frame(kContinuation, 4, 1), "GOAWAY PROTOCOL_ERROR"},
      {"CONTINUATION on stream 0", frame(kContinuation, 4, 0), "GOAWAY PROTOCOL_ERROR"},
  });
}

TEST_CASE("h2 rules: PRIORITY, RST_STREAM, PUSH_PROMISE, PRIORITY_UPDATE (sections 6.3, 6.4, 6.6; RFC 9218)") {
  check({
      {"PRIORITY on stream 0", frame(kPriority, 0, 0, u32(1) + u8(1)), "GOAWAY PROTOCOL_ERROR"},
      {"PRIORITY of four bytes", begun(1) + frame(kPriority, 0, 1, u32(0)), "GOAWAY FRAME_SIZE_ERROR"},
      {"PRIORITY of three bytes", begun(1) + frame(kPriority, 0, 1, "abc"), "GOAWAY FRAME_SIZE_ERROR"},
      {"PRIORITY of six bytes", begun(1) + frame(kPriority, 0, 1, u32(0) + u16(0)), "GOAWAY FRAME_SIZE_ERROR"},
      {"PRIORITY that depends on itself", begun(1) + frame(kPriority, 0, 1, u32(1) + u8(1)), "GOAWAY PROTOCOL_ERROR"},
      {"the same, exclusively", frame(kPriority, 0, 1, u32(0x80000001) + u8(1)), "GOAWAY PROTOCOL_ERROR"},
      {"RST_STREAM on stream 0", rst(0, 8), "GOAWAY PROTOCOL_ERROR"},
      {"RST_STREAM of three bytes", begun(1) + frame(kRst, 0, 1, "abc"), "GOAWAY FRAME_SIZE_ERROR"},
      {"RST_STREAM of five bytes", begun(1) + frame(kRst, 0, 1, "abcde"), "GOAWAY FRAME_SIZE_ERROR"},
      {"RST_STREAM with an unknown code", begun(1) + rst(1, 0xfa) + kAsk, "PING"},
      {"PUSH_PROMISE", begun(1) + frame(kPushPromise, 4, 1, u32(2) + block(get())), "GOAWAY PROTOCOL_ERROR"},
      {"PRIORITY_UPDATE", begun(1) + frame(kPriorityUpdate, 0, 0, u32(1) + "u=1, i") + kAsk, "PING"},
      {"PRIORITY_UPDATE before the stream", frame(kPriorityUpdate, 0, 0, u32(1) + "u=1") + request(1), "HEADERS 1"},
      {"PRIORITY_UPDATE that says nothing", frame(kPriorityUpdate, 0, 0, u32(1) + "=") + request(1), "HEADERS 1"},
      {"PRIORITY_UPDATE that is long", frame(kPriorityUpdate, 0, 0, u32(1) + std::string(500, 'a')) + request(1),
       "HEADERS 1"},
      {"PRIORITY_UPDATE of stream 0", frame(kPriorityUpdate, 0, 0, u32(0) + "u=1"), "GOAWAY PROTOCOL_ERROR"},
      {"PRIORITY_UPDATE on a stream", begun(1) + frame(kPriorityUpdate, 0, 1, u32(1) + "u=1"), "GOAWAY PROTOCOL_ERROR"},
      {"PRIORITY_UPDATE of three bytes", frame(kPriorityUpdate, 0, 0, "abc"), "GOAWAY FRAME_SIZE_ERROR"},
      {"PRIORITY_UPDATE of a push", frame(kPriorityUpdate, 0, 0, u32(2) + "u=1"), "GOAWAY PROTOCOL_ERROR"},
  });
}

TEST_CASE("h2 rules: SETTINGS, PING, GOAWAY (sections 6.5, 6.7, 6.8)") {
  check({
      {"SETTINGS on a stream", frame(kSettings, 0, 1), "GOAWAY PROTOCOL_ERROR"},
      {"SETTINGS of five bytes", frame(kSettings, 0, 0, "12345"), "GOAWAY FRAME_SIZE_ERROR"},
      {"SETTINGS ACK with a payload", frame(kSettings, kAck, 0, setting(4, 1)), "GOAWAY FRAME_SIZE_ERROR"},
      {"SETTINGS ACK too many", frame(kSettings, kAck, 0) + frame(kSettings, kAck, 0), "GOAWAY PROTOCOL_ERROR"},
      {"ENABLE_PUSH 2", settings(setting(2, 2)), "GOAWAY PROTOCOL_ERROR"},
      {"ENABLE_PUSH 1", settings(setting(2, 1)) + kAsk, "PING"},
      {"INITIAL_WINDOW_SIZE too large", settings(setting(4, 0x80000000)), "GOAWAY FLOW_CONTROL_ERROR"},
      {"MAX_FRAME_SIZE too small", settings(setting(5, 16383)), "GOAWAY PROTOCOL_ERROR"},
      {"MAX_FRAME_SIZE too large", settings(setting(5, 1 << 24)), "GOAWAY PROTOCOL_ERROR"},
      {"MAX_FRAME_SIZE the largest", settings(setting(5, (1 << 24) - 1)) + kAsk, "PING"},
      {"ENABLE_CONNECT_PROTOCOL 2", settings(setting(8, 2)), "GOAWAY PROTOCOL_ERROR"},
      {"NO_RFC7540_PRIORITIES 2", settings(setting(9, 2)), "GOAWAY PROTOCOL_ERROR"},
      {"an unknown setting", settings(setting(0xfafa, 1)) + kAsk, "PING"},
      {"a setting twice", settings(setting(4, 100) + setting(4, 1)) + kAsk, "PING"},
      {"a window that is too large in the end",
       begun(1) + window_update(1, 0x7fff0000) + settings(setting(4, 0x7fffffff)), "GOAWAY FLOW_CONTROL_ERROR"},
      {"33 settings", settings([] {
         std::string all;
         for (int i = 0; i < 33; ++i) all += setting(0xfa00, 1);
         return all;
       }()),
       "GOAWAY ENHANCE_YOUR_CALM"},
      {"PING ACK", frame(kPing, kAck, 0, "12345678") + kAsk, "PING"},
      {"PING on a stream", frame(kPing, 0, 1, "12345678"), "GOAWAY PROTOCOL_ERROR"},
      {"PING of seven bytes", frame(kPing, 0, 0, "1234567"), "GOAWAY FRAME_SIZE_ERROR"},
      {"GOAWAY on a stream", frame(kGoaway, 0, 1, u32(0) + u32(0)), "GOAWAY PROTOCOL_ERROR"},
      {"GOAWAY of seven bytes", frame(kGoaway, 0, 0, "1234567"), "GOAWAY FRAME_SIZE_ERROR"},
      {"GOAWAY, then what is open goes on", begun(1) + frame(kGoaway, 0, 0, u32(0) + u32(0) + "why") + data(1, "x", 1),
       "HEADERS 1"},
  });
  ServerEnd server;
  server.receive(preface());
  server.take();
  server.receive(frame(kPing, 0, 0, "abcdefgh") + settings(setting(4, 1)));
  const auto frames = server.take_frames();
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].type == kPing);
  CHECK(frames[0].flags == kAck);
  CHECK(frames[0].payload == "abcdefgh");
  CHECK(frames[1].type == kSettings);
  CHECK(frames[1].flags == kAck);
  CHECK_FALSE(server.session.goaway_received());
  server.receive(frame(kGoaway, 0, 0, u32(0) + u32(0)));
  CHECK(server.session.goaway_received());
  CHECK(server.changes == 1);
  CHECK(server.receive(kAsk));
}

TEST_CASE("h2 rules: WINDOW_UPDATE and flow control (sections 5.2, 6.9)") {
  const std::string chunk(16384, 'x');
  check({
      {"by 0 on the connection", window_update(0, 0), "GOAWAY PROTOCOL_ERROR"},
      {"by 0 on a stream", begun(1) + window_update(1, 0), "GOAWAY PROTOCOL_ERROR"},
      {"of three bytes", frame(kWindowUpdate, 0, 0, "abc"), "GOAWAY FRAME_SIZE_ERROR"},
      {"of five bytes", frame(kWindowUpdate, 0, 0, "abcde"), "GOAWAY FRAME_SIZE_ERROR"},
      {"too large on the connection", window_update(0, 0x7fffffff), "GOAWAY FLOW_CONTROL_ERROR"},
      {"too large on a stream", begun(1) + window_update(1, 0x7fffffff) + kAsk, "RST 1 FLOW_CONTROL_ERROR, PING"},
      {"a reserved bit", window_update(0, 0x80000001) + kAsk, "PING"},
  });
  // More than the stream's window.
  ServerEnd server;
  server.consume = false;
  server.receive(preface() + begun(1));
  server.take();
  server.receive(frame(kSettings, kAck, 0));
  for (int i = 0; i < 4; ++i) CHECK(server.receive(data(1, chunk)));
  CHECK(server.receive(data(1, "x")));
  CHECK(show(server.take_frames()) == "RST 1 FLOW_CONTROL_ERROR");
  CHECK(server.log.ends_with("0 closed FLOW_CONTROL_ERROR\n"));
  CHECK(server.session.streams() == 0);
}

TEST_CASE("h2 rules: HPACK (RFC 7541)") {
  const auto raw = [](const std::string& fields) { return frame(kHeaders, 5, 1, fields); };
  const std::string base = "\x82\x87\x84" + literal(":authority", "a.example");  // GET, https, /
  check({
      {"indexed", raw(base), "HEADERS 1"},
      {"index 0", raw(base + "\x80"), "GOAWAY COMPRESSION_ERROR"},
      {"an index beyond the tables", raw(base + "\xbe"), "GOAWAY COMPRESSION_ERROR"},
      {"far beyond", raw(base + "\xff\xff\xff\xff\x0f"), "GOAWAY COMPRESSION_ERROR"},
      {"a name beyond the tables", raw(base + "\x7e" + text("x")), "GOAWAY COMPRESSION_ERROR"},
      {"an integer without an end", raw(base + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
       "GOAWAY COMPRESSION_ERROR"},
      {"added and used", raw(base + "\x40" + text("x") + text("1") + "\xbe"), "HEADERS 1"},
      {"a new table size first", raw("\x20" + base), "HEADERS 1"},
      {"two of them first", raw("\x20\x3f\xe1\x1f" + base), "HEADERS 1"},
      {"a new table size later", raw(base + "\x20"), "GOAWAY COMPRESSION_ERROR"},
      {"a table larger than allowed", raw("\x3f\xe2\x1f" + base), "GOAWAY COMPRESSION_ERROR"},
      {"a string cut", raw(base + "\x10" + text("x") + "\x05" + "ab"), "GOAWAY COMPRESSION_ERROR"},
      {"Huffman", raw(base + "\x10" + text("x") + "\x81\x1f"), "HEADERS 1"},
      {"Huffman: a padding of zeroes", raw(base + "\x10" + text("x") + "\x81\x18"), "GOAWAY COMPRESSION_ERROR"},
      {"Huffman: a padding over 7 bits", raw(base + "\x10" + text("x") + "\x82\x1f\xff"), "GOAWAY COMPRESSION_ERROR"},
      {"Huffman: EOS", raw(base + "\x10" + text("x") + "\x84\xff\xff\xff\xff"), "GOAWAY COMPRESSION_ERROR"},
      {"in a section that is ignored", headers(1, get() + Fields{{"X", "1"}}) + frame(kHeaders, 5, 3, base + "\x80"),
       "RST 1 PROTOCOL_ERROR, GOAWAY COMPRESSION_ERROR", "GOAWAY COMPRESSION_ERROR"},
  });
}

TEST_CASE("h2 rules: malformed messages reset their stream and no other (section 8)") {
  std::vector<Row> rows;
  const auto bad = [&](const char* name, const Fields& fields, unsigned flags = 5) {
    rows.push_back({name, headers(1, fields, flags) + kAsk, "RST 1 PROTOCOL_ERROR, PING"});
  };
  const auto without = [](size_t which) {
    Fields fields = get();
    fields.erase(fields.begin() + static_cast<long>(which));
    return fields;
  };
  const auto replaced = [](size_t which, std::string value) {
    Fields fields = get();
    fields[which].second = std::move(value);
    return fields;
  };
  bad("upper case", get() + Fields{{"X-A", "1"}});
  bad("a space in a name", get() + Fields{{"x a", "1"}});
  bad("an empty name", get() + Fields{{"", "1"}});
  bad("LF in a value", get() + Fields{{"x", "a\nb"}});
  bad("NUL in a value", get() + Fields{{"x", std::string("a\0b", 3)}});
  bad("a space before a value", get() + Fields{{"x", " a"}});
  bad("an unknown pseudo-header field", get() + Fields{{":new", "1"}});
  bad(":status", get() + Fields{{":status", "200"}});
  bad("a pseudo-header field after a field", Fields{{"x", "1"}} + get());
  bad(":method twice", get() + Fields{{":method", "GET"}});
  bad(":scheme twice", get() + Fields{{":scheme", "https"}});
  bad(":path twice", get() + Fields{{":path", "/"}});
  bad("no :method", without(0));
  bad("no :scheme", without(1));
  bad("no :authority, no Host", without(2));
  bad("no :path", without(3));
  bad("an empty :path", replaced(3, ""));
  bad("a bad :path", replaced(3, "x"));
  bad("a bad :scheme", replaced(1, "ftp"));
  bad("a bad :method", replaced(0, "G T"));
  bad("a bad :authority", replaced(2, "a@b"));
  bad("disagreeing Host", get() + Fields{{"host", "b.example"}});
  bad("Connection", get() + Fields{{"connection", "keep-alive"}});
  bad("Transfer-Encoding", get() + Fields{{"transfer-encoding", "chunked"}});
  bad("TE", get() + Fields{{"te", "trailers, deflate"}});
  bad("Content-Length without content", post() + Fields{{"content-length", "1"}});
  bad("CONNECT with a path", replaced(0, "CONNECT"));
  bad(":protocol without CONNECT", get() + Fields{{":protocol", "websocket"}});
  const Fields sized = post() + Fields{{"content-length", "3"}};
  const auto message = [&](const char* name, const std::string& bytes) {
    rows.push_back({name, bytes + kAsk, "RST 1 PROTOCOL_ERROR, PING"});
  };
  message("content shorter than Content-Length", headers(1, sized, 4) + data(1, "ab", 1));
  message("content longer than Content-Length", headers(1, sized, 4) + data(1, "ab") + data(1, "cd", 1));
  message("content and trailers shorter", headers(1, sized, 4) + data(1, "ab") + headers(1, {{"x", "1"}}));
  message("trailers without END_STREAM", begun(1) + data(1, "ab") + headers(1, {{"x", "1"}}, 4));
  message("a second head", begun(1) + headers(1, post(), 4));
  message("a pseudo-header field in trailers", begun(1) + data(1, "ab") + headers(1, {{":method", "GET"}}));
  message("upper case in trailers", begun(1) + data(1, "ab") + headers(1, {{"X", "1"}}));
  message("Connection in trailers", begun(1) + data(1, "ab") + headers(1, {{"connection", "x"}}));
  rows.push_back(
      {"good ones",
       headers(1, sized, 4) + data(1, "ab") + data(1, "c", 1) + request(3) + begun(5) + headers(5, {{"x", "1"}}),
       "HEADERS 1, HEADERS 3, HEADERS 5"});
  rows.push_back({"others go on", begun(1) + headers(3, get() + Fields{{"X", "1"}}) + data(1, "x", 1),
                  "RST 3 PROTOCOL_ERROR, HEADERS 1"});
  // All that was begun is answered when everything has been read, so an RST that is queued first goes first.
  check(rows);
}

TEST_CASE("h2 rules: of a malformed request nobody hears but of its beginning and its end") {
  for (const Fields& fields : {get() + Fields{{"X", "1"}}, get() + Fields{{"host", "b.example"}},
                               get() + Fields{{"x", "a\nb"}}, Fields{{"x", "1"}} + get()}) {
    ServerEnd server;
    server.receive(preface() + headers(1, fields, 4) + data(1, "abc"));
    server.take();
    server.receive(data(1, "def", 1));
    CHECK(server.log == "open\n0 closed PROTOCOL_ERROR\n");
    CHECK(server.stream(0).body.empty());
    CHECK(server.session.streams() == 0);
    CHECK_FALSE(server.session.failed());
  }
}

TEST_CASE("h2 rules: what a server may not send") {
  struct Bad {
    const char* name;
    std::string bytes;
    H2Code code;
    bool whole;  // the connection
  };
  const Fields ok = {{":status", "200"}};
  const std::vector<Bad> rows = {
      {"PUSH_PROMISE", frame(kPushPromise, 4, 1, u32(2) + block(get())), H2Code::protocol_error, true},
      {"ENABLE_PUSH", settings(setting(2, 1)), H2Code::protocol_error, true},
      {"a stream of its own", headers(2, ok), H2Code::protocol_error, true},
      {"an idle stream", headers(3, ok), H2Code::protocol_error, true},
      {"DATA before a head", data(1, "x"), H2Code::protocol_error, true},
      {"PRIORITY_UPDATE", frame(kPriorityUpdate, 0, 0, u32(1) + "u=1"), H2Code::protocol_error, true},
      {"101", headers(1, {{":status", "101"}}, 4), H2Code::protocol_error, false},
      {"an interim head with END_STREAM", headers(1, {{":status", "103"}}), H2Code::protocol_error, false},
      {"upper case", headers(1, ok + Fields{{"X", "1"}}), H2Code::protocol_error, false},
      {"LF in a value", headers(1, ok + Fields{{"x", "a\nb: c"}}), H2Code::protocol_error, false},
      {"Connection", headers(1, ok + Fields{{"connection", "close"}}), H2Code::protocol_error, false},
      {"no :status", headers(1, {{"server", "x"}}), H2Code::protocol_error, false},
      {"a length that is wrong", headers(1, ok + Fields{{"content-length", "3"}}, 4) + data(1, "ab", 1),
       H2Code::protocol_error, false},
      {"too large a head",
       headers(
           1,
           ok + Fields{{"a", std::string(12000, 'x')}, {"b", std::string(12000, 'x')}, {"c", std::string(12000, 'x')}}),
       H2Code::frame_size_error, true},
      {"GOAWAY that grows", frame(kGoaway, 0, 0, u32(1) + u32(0)) + frame(kGoaway, 0, 0, u32(3) + u32(0)),
       H2Code::protocol_error, true},
  };
  for (const Bad& row : rows) {
    CAPTURE(row.name);
    ClientEnd client;
    client.open();
    client.take();
    CHECK(client.receive(settings() + row.bytes) != row.whole);
    client.take();
    CHECK(client.session.failed() == row.whole);
    if (row.whole) {
      CHECK(client.session.failure_code() == row.code);
      client.session.close_all();
      CHECK(client.stream(0).closed);
    } else {
      CHECK(client.stream(0).closed);
      CHECK(client.stream(0).code == row.code);
      CHECK_FALSE(client.stream(0).unprocessed);
      client.open();
      CHECK(client.opened);
    }
  }
}
