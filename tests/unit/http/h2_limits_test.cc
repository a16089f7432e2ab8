// What a hostile peer may cost.
#include "catch.h"
#include "http/h2_world.h"

using namespace sallyport;
using namespace sallyport::http;

namespace {

// Gives the same bytes again and again until the connection is over; how often they were taken. A stream number in
// them is not possible: see the caller's make.
template <class Make>
size_t until_over(End& end, size_t most, Make&& make) {
  for (size_t i = 0; i < most; ++i) {
    if (!end.receive(make(static_cast<uint32_t>(i)))) return i;
    end.take();
    if (end.session.failed()) return i;
  }
  return most;
}

void check_calm(End& end) {
  CHECK(end.session.failed());
  CHECK(end.session.failure_code() == H2Code::enhance_your_calm);
  const auto frames = end.take_frames();
  if (!frames.empty()) {  // else it has been written already
    CHECK(frames.back().type == kGoaway);
    CHECK(frames.back().word(4) == static_cast<uint32_t>(H2Code::enhance_your_calm));
  }
}

}  // namespace

TEST_CASE("h2 limits: rapid resets end the connection soon") {
  // One after the other, and all at once.
  {
    ServerEnd server;
    server.receive(preface());
    CHECK(until_over(server, 10000, [](uint32_t i) { return headers(2 * i + 1, get()) + rst(2 * i + 1, 8); }) == 500);
    CHECK(server.streams.size() == 501);
    check_calm(server);
  }
  ServerEnd server;
  std::string bytes = preface();
  for (uint32_t i = 0; i < 10000; ++i) bytes += headers(2 * i + 1, get()) + rst(2 * i + 1, 8);
  CHECK_FALSE(server.receive(bytes));
  CHECK(server.streams.size() == 501);
  check_calm(server);
}

TEST_CASE("h2 limits: time and streams that end well give back what resets took") {
  ServerEnd server;
  server.receive(preface());
  uint32_t id = 1;
  const auto reset_some = [&](int count) {
    for (int i = 0; i < count; ++i, id += 2)
      if (!server.receive(headers(id, get()) + rst(id, 8))) return false;
    return true;
  };
  CHECK(reset_some(490));
  server.now_ms = 10000;
  CHECK(reset_some(490));
  server.on_end = [&](TestStream& stream) { server.session.respond(stream, response(204, Body::none), true); };
  for (int i = 0; i < 400; ++i, id += 2) {
    server.receive(headers(id, get()));
    server.take();
  }
  server.on_end = nullptr;
  CHECK(reset_some(200));
  CHECK_FALSE(reset_some(100));
  check_calm(server);
}

TEST_CASE("h2 limits: streams that the peer makes us reset count as well") {
  struct Row {
    const char* name;
    std::function<std::string(uint32_t)> make;
  };
  const std::vector<Row> rows = {
      {"malformed, by nghttp2",
       [](uint32_t id) {
         return headers(id, get() + Fields{{"X", "1"}});
       }},
      {"malformed, by our rules",
       [](uint32_t id) {
         return headers(id, get() + Fields{{"host", "b.example"}});
       }},
      {"a window too large",
       [](uint32_t id) { return headers(id, post(), kEndHeaders) + window_update(id, 0x7fffffff); }},
      {"more than Content-Length",
       [](uint32_t id) {
         return headers(id, post() + Fields{{"content-length", "1"}}, kEndHeaders) + data(id, "abc");
       }},
      {"less than Content-Length",
       [](uint32_t id) {
         return headers(id, post() + Fields{{"content-length", "2"}}, kEndHeaders) + data(id, "a", 1);
       }},
      {"malformed trailers",
       [](uint32_t id) {
         return headers(id, post(), kEndHeaders) + headers(id, {{":path", "/"}});
       }},
      {"trailers too large",
       [](uint32_t id) {
         return headers(id, post(), kEndHeaders) + frame(kHeaders, 1, id, block({{"a", std::string(16000, 'x')}})) +
                frame(kContinuation, 0, id, block({{"b", std::string(16000, 'x')}})) +
                frame(kContinuation, 4, id, block({{"c", std::string(16000, 'x')}}));
       }},
  };
  for (const Row& row : rows)
    for (bool written : {true, false}) {
      CAPTURE(row.name, written);
      ServerEnd server;
      server.receive(preface());
      size_t count = 0;
      // Not written: the peer does not read, so that its resets wait in here.
      for (uint32_t id = 1; count < 10000 && !server.session.failed(); id += 2, ++count) {
        if (!server.receive(row.make(id))) break;
        if (written) server.take();
      }
      if (!written && server.session.failure_code() == H2Code::no_error) {
        CHECK(server.streams.size() == 100);
        continue;
      }
      CHECK(count <= 500);
      CHECK(count >= (written ? 500u : 100u));
      check_calm(server);
    }
}

TEST_CASE("h2 limits: refused streams count") {
  H2Limits limits;
  limits.streams = 1;
  ServerEnd server(limits);
  server.receive(preface() + headers(1, get()));
  CHECK(until_over(server, 10000, [](uint32_t i) { return headers(2 * i + 3, get()); }) == 500);
  check_calm(server);
}

TEST_CASE("h2 limits: frames that bring nothing have a budget") {
  struct Row {
    const char* name;
    std::string bytes;
    bool twice = false;  // two of them a turn
  };
  const std::vector<Row> rows = {
      {"PING", frame(kPing, 0, 0, "12345678")},
      {"PING ACK", frame(kPing, kAck, 0, "12345678")},
      {"SETTINGS", settings()},
      {"SETTINGS that change", settings(setting(4, 1)) + settings(setting(4, 65535)), true},
      {"PRIORITY", frame(kPriority, 0, 3, u32(0) + u8(1))},
      {"PRIORITY_UPDATE", frame(kPriorityUpdate, 0, 0, u32(1) + "u=1")},
      {"WINDOW_UPDATE", window_update(0, 1)},
      {"WINDOW_UPDATE of a stream", window_update(1, 1)},
      {"empty DATA", data(1, "")},
      {"padded empty DATA", data(1, u8(0), kPadded)},
      {"DATA of padding", data(1, u8(3) + "123", kPadded)},
      {"unknown", frame(0xfa, 0, 0, "x")},
      {"unknown, on a stream", frame(0xfa, 0, 1)},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    ServerEnd server;
    server.receive(preface() + headers(1, post(), kEndHeaders));
    const size_t taken = until_over(server, 10000, [&](uint32_t) { return row.bytes; });
    const size_t count = row.twice ? 2 * taken : taken;
    CHECK(count >= 1998);
    CHECK(count <= 2000);
    check_calm(server);
    // In one go; and when nobody reads what is answered.
    ServerEnd other;
    std::string bytes = preface() + headers(1, post(), kEndHeaders);
    for (int i = 0; i < 3000; ++i) bytes += row.bytes;
    CHECK_FALSE(other.receive(bytes));
    CHECK(other.session.failure_code() == H2Code::enhance_your_calm);
    CHECK(other.take().size() < 40000);
    // In its time it is no flood.
    ServerEnd slow;
    slow.receive(preface() + headers(1, post(), kEndHeaders));
    for (int i = 0; i < 3000; ++i) {
      slow.now_ms += row.twice ? 10 : 5;
      CHECK(slow.receive(row.bytes));
      slow.take();
    }
  }
}

TEST_CASE("h2 limits: a client that returns its window in small pieces while it downloads floods nothing") {
  ServerEnd server;
  server.receive(preface() + headers(1, get()));
  server.session.respond(server.stream(0), response(200), false);
  const std::string chunk(16384, 'x');
  for (int i = 0; i < 3000; ++i) {
    server.session.send(server.stream(0), as_bytes(chunk));
    server.take();
    std::string updates;
    for (int k = 0; k < 4; ++k) updates += window_update(0, 4096) + window_update(1, 4096);
    REQUIRE(server.receive(updates));
  }
  // Nor one that returns it for each small message, on the stream and on the connection.
  for (int i = 0; i < 5000; ++i) {
    server.session.send(server.stream(0), as_bytes(std::string_view("a message")));
    server.take();
    REQUIRE(server.receive(window_update(0, 9) + window_update(1, 9)));
  }
  // And so does one that uploads, with a PING now and then.
  server.receive(headers(3, post(), kEndHeaders));
  for (int i = 0; i < 5000; ++i) {
    REQUIRE(server.receive(data(3, "x") + frame(kPing, 0, 0, "12345678")));
    server.take();
  }
}

TEST_CASE("h2 limits: CONTINUATION frames") {
  const auto section = [](int continuations, const std::string& each) {
    std::string out = frame(kHeaders, 1, 1, block(get()));
    for (int i = 0; i < continuations; ++i) out += frame(kContinuation, i + 1 == continuations ? 4 : 0, 1, each);
    return out;
  };
  for (size_t step : {size_t{1}, size_t{1000000}}) {
    for (int continuations : {1, 8, 9, 100000}) {
      CAPTURE(step, continuations);
      const std::string bytes = preface() + section(continuations, "");
      ServerEnd server;
      bool going = true;
      for (size_t at = 0; going && at < bytes.size(); at += step)
        going = server.receive(std::string_view(bytes).substr(at, step));
      CHECK(going == (continuations <= 8));
      if (!going) check_calm(server);
    }
  }
  // Of a section that is ignored, too.
  ServerEnd ignoring;
  ignoring.refuse = true;
  CHECK_FALSE(ignoring.receive(preface() + section(100, "")));
  check_calm(ignoring);
  H2Limits limits;
  limits.fields.list_bytes = 16 * 1024;
  ServerEnd server(limits);
  server.refuse = true;
  CHECK_FALSE(server.receive(preface() + section(8, block({{"a", std::string(15000, 'x')}}))));
  check_calm(server);
}

TEST_CASE("h2 limits: a field section that grows in here is not decoded to its end") {
  ServerEnd server;
  // 3,900 bytes into the dynamic table, then a byte for each repetition.
  std::string bomb = block(get()) + "\x40" + text("b") + text(std::string(3900, 'x'));
  const std::string repeated(16384 - bomb.size(), '\xbe');
  CHECK_FALSE(server.receive(preface() + frame(kHeaders, 1, 1, bomb + repeated)));
  check_calm(server);
  CHECK(server.stream(0).request_head.fields.capacity_bytes() < 200000);
  CHECK_FALSE(server.stream(0).head);
  server.session.close_all();
  CHECK(server.stream(0).closed);
  // A little over the limit is no attack.
  ServerEnd mild;
  mild.receive(preface() + frame(kHeaders, 5, 1, bomb + std::string(20, '\xbe')));
  CHECK(mild.stream(0).too_large);
  CHECK_FALSE(mild.session.failed());
  // More fields than allowed, each tiny.
  ServerEnd many;
  many.receive(preface() + frame(kHeaders, 5, 1, block(get()) + std::string(300, '\x90')));
  CHECK(many.stream(0).too_large);
  CHECK_FALSE(many.session.failed());
}

TEST_CASE("h2 limits: as a client, resets are the server's business, floods are not") {
  ClientEnd client;
  client.receive(settings());
  for (int i = 0; i < 1000; ++i) {
    TestStream& stream = client.open();
    client.take();
    REQUIRE(client.receive(headers(static_cast<uint32_t>(2 * i + 1), {{":status", "200"}}, kEndHeaders) +
                           rst(static_cast<uint32_t>(2 * i + 1), i % 2 == 0 ? 0 : 7)));
    CHECK(stream.closed);
    CHECK_FALSE(stream.unprocessed);
  }
  CHECK(until_over(client, 10000, [](uint32_t) { return frame(kPing, 0, 0, "12345678"); }) <= 2000);
  check_calm(client);
}

TEST_CASE("h2 limits: a stalled window with many streams holds no more than was sent") {
  ServerEnd server;
  server.receive(preface() + settings(setting(4, 0)));
  server.on_end = [&](TestStream& stream) {
    server.session.respond(stream, response(200), false);
    server.session.send(stream, as_bytes(std::string_view("some")));
    server.session.end(stream, nullptr);
  };
  for (uint32_t i = 0; i < 100; ++i) server.receive(headers(2 * i + 1, get()));
  server.take();
  CHECK(server.session.buffered() == 400);
  CHECK(server.session.streams() == 100);
  CHECK_FALSE(server.session.wants_write());
  // Opened by a byte at a time, it moves by a byte at a time.
  server.receive(settings(setting(4, 1)));
  server.take();
  CHECK(server.session.buffered() == 300);
  for (uint32_t i = 0; i < 100; ++i) server.receive(window_update(2 * i + 1, 10));
  server.take();
  CHECK(server.session.streams() == 0);
}

TEST_CASE("h2 limits: windows beyond what HTTP/2 knows are its largest") {
  H2Limits limits;
  limits.stream_window = limits.connection_window = 0xffffffff;
  limits.fields.list_bytes = 0xffffffff;
  ServerEnd server(limits);
  const auto frames = server.take_frames();
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].payload.starts_with(setting(4, 0x7fffffff) + setting(6, 0xffffffff)));
  CHECK(frames[1].word(0) == 0x7fffffff - 65535);
  CHECK(server.receive(preface() + frame(kHeaders, 1, 1, block(get())) + frame(kContinuation, 4, 1)));
}
