// How streams and sessions end: resets, refusals, GOAWAY, failures.
#include "http/h2_session.h"

#include "catch.h"
#include "http/h2_world.h"

using namespace sallyport;
using namespace sallyport::http;

namespace {

std::string goaways(const std::vector<Frame>& frames) {
  std::string out;
  for (const Frame& f : frames)
    if (f.type == kGoaway)
      out += fmt::format("{} {} {};", f.word(0), name_of(static_cast<H2Code>(f.word(4))), f.payload.substr(8));
  return out;
}

}  // namespace

TEST_CASE("h2 session: resets are told once, with their code, to both") {
  ServerEnd server;
  ClientEnd client;
  TestStream& a = client.open("POST", false);
  TestStream& b = client.open("POST", false);
  TestStream& c = client.open("POST", false);
  client.session.send(a, as_bytes(pattern(300000)));
  exchange(client, server);
  server.session.respond(server.stream(2), response(200), false);
  server.session.send(server.stream(2), as_bytes("part"));
  exchange(client, server);
  client.session.reset(a, H2Code::cancel);
  client.session.reset(a, H2Code::protocol_error);
  CHECK(a.pending() == 0);
  server.session.reset(server.stream(1), H2Code::enhance_your_calm);
  server.session.reset(server.stream(2), H2Code::no_error);
  exchange(client, server);
  CHECK(a.closed);
  CHECK(a.code == H2Code::cancel);
  CHECK(server.stream(0).code == H2Code::cancel);
  CHECK(b.code == H2Code::enhance_your_calm);
  CHECK_FALSE(b.unprocessed);
  CHECK(server.stream(1).closed);
  // NO_ERROR before END_STREAM: the response is cut, and must not look whole.
  CHECK(c.code == H2Code::cancel);
  CHECK(client.session.streams() == 0);
  CHECK(server.session.streams() == 0);
  // Nothing more can be done to them.
  client.session.send(a, as_bytes("x"));
  client.session.end(a, nullptr);
  client.session.reset(a, H2Code::cancel);
  client.session.forget(a);
  client.session.consume(a, 1);
  server.session.respond(server.stream(0), response(200), true);
  server.session.prioritize(server.stream(0), "u=1");
  CHECK(a.id() == 0);
  CHECK(client.take().empty());
  CHECK(server.take().empty());
}

TEST_CASE("h2 session: a complete response with a reset behind it is complete") {
  ServerEnd server;
  ClientEnd client;
  TestStream& stream = client.open("POST", false);
  exchange(client, server);
  server.session.respond(server.stream(0), response(413, Body::none), true);
  exchange(client, server);
  CHECK(server.stream(0).end_sent());
  CHECK(server.stream(0).sent_calls == 1);
  server.session.reset(server.stream(0), H2Code::no_error);
  exchange(client, server);
  CHECK(client.log == "0 head 413  1.1 none:0 keep\n0 end 0 bytes\n0 closed NO_ERROR\n");
  CHECK(stream.end_received());
}

TEST_CASE("h2 session: refused and left-out requests are told to be unprocessed") {
  ServerEnd server;
  ClientEnd client;
  server.refuse = true;
  TestStream& refused = client.open("POST");
  exchange(client, server);
  CHECK(refused.code == H2Code::refused_stream);
  CHECK(refused.unprocessed);
  CHECK(server.log == "open\n");
  CHECK(server.session.streams() == 0);
  server.refuse = false;
  TestStream& kept = client.open();
  exchange(client, server);
  // Two that cross with the GOAWAY.
  TestStream& late = client.open();
  const std::string crossing = client.take();
  server.session.shut(H2Code::no_error, "bye");
  const auto frames = server.take_frames();
  CHECK(goaways(frames) == "3 NO_ERROR bye;");
  server.receive(crossing);
  CHECK(server.streams.size() == 1);
  std::string bytes;
  for (const Frame& f : frames) bytes += frame(f.type, f.flags, f.stream, f.payload);
  TestStream& unsent = client.open();
  client.receive(bytes);
  client.take();
  CHECK(client.changes == 2);
  CHECK(client.session.goaway_received());
  CHECK(late.closed);
  CHECK(late.unprocessed);
  CHECK(unsent.closed);
  CHECK(unsent.unprocessed);
  CHECK(client.session.streams_allowed() == 0);
  client.open();
  CHECK_FALSE(client.opened);
  CHECK_FALSE(kept.closed);
  server.session.respond(server.stream(0), response(200, Body::none), true);
  exchange(client, server);
  CHECK(kept.closed);
  CHECK(kept.code == H2Code::no_error);
  CHECK_FALSE(server.session.failed());
  CHECK_FALSE(client.session.failed());
}

TEST_CASE("h2 session: the end is announced first, and nothing is refused before it is decided") {
  ServerEnd server;
  server.receive(preface() + headers(1, post(), kEndHeaders));
  server.take();
  server.session.announce_shutdown();
  CHECK(goaways(server.take_frames()) == "2147483647 NO_ERROR ;");
  CHECK(server.receive(headers(3, get())));
  CHECK(server.streams.size() == 2);
  server.session.shut(H2Code::no_error);
  server.session.shut(H2Code::no_error);
  // Not yet framed: what comes now is refused all the same, as the GOAWAY will say.
  CHECK(server.receive(headers(5, post(), kEndHeaders) + data(5, "x")));
  CHECK(goaways(server.take_frames()) == "3 NO_ERROR ;");
  CHECK(server.receive(headers(7, post(), kEndHeaders) + data(7, "x", 1) + data(1, "x", 1)));
  CHECK(server.streams.size() == 2);
  CHECK(server.stream(0).ended);
  server.session.respond(server.stream(0), response(200, Body::none), true);
  server.session.respond(server.stream(1), response(200, Body::none), true);
  server.take();
  CHECK(server.session.streams() == 0);
  CHECK_FALSE(server.session.failed());
  // Idle from the start.
  ServerEnd idle;
  idle.receive(preface());
  idle.session.announce_shutdown();
  CHECK(goaways(idle.take_frames()) == "2147483647 NO_ERROR ;");
  idle.receive(headers(1, get()));
  CHECK(idle.streams.size() == 1);
}

TEST_CASE("h2 session: what is wrong with a frame shows when the GOAWAY is written, if not before") {
  for (bool shutting : {false, true}) {
    ServerEnd server;
    server.receive(preface() + headers(1, post(), kEndHeaders));
    if (shutting) server.session.shut(H2Code::enhance_your_calm, "enough");
    server.take();
    CHECK_FALSE(server.session.failed());
    // Padded over its end, which has not come yet.
    CHECK(server.receive(frame_head(5, kData, kPadded, 1) + u8(9)));
    CHECK(goaways(server.take_frames()) == "1 PROTOCOL_ERROR DATA: invalid padding;");
    CHECK(server.session.failed());
    CHECK(server.session.failure_code() == H2Code::protocol_error);
    CHECK_FALSE(server.receive("x"));
  }
}

TEST_CASE("h2 session: failing sends GOAWAY, and every stream hears of the end") {
  ServerEnd server;
  server.receive(preface() + headers(1, get()) + headers(3, post(), kEndHeaders));
  server.take();
  server.session.send(server.stream(0), as_bytes("x"));
  server.session.fail(H2Code::settings_timeout, "no SETTINGS ACK");
  server.session.fail(H2Code::protocol_error, "later");
  CHECK(server.session.failed());
  CHECK(server.session.failure() == std::string("no SETTINGS ACK"));
  CHECK(server.session.failure_code() == H2Code::settings_timeout);
  CHECK_FALSE(server.receive(data(3, "x")));
  CHECK(goaways(server.take_frames()) == "3 SETTINGS_TIMEOUT ;");
  CHECK_FALSE(server.session.wants_write());
  server.session.close_all();
  CHECK(server.stream(0).code == H2Code::internal_error);
  CHECK(server.stream(1).closed);
  CHECK(server.session.streams() == 0);
  CHECK(server.session.buffered() == 0);
  CHECK(server.pool.in_use() == 0);
}

TEST_CASE("h2 session: of a forgotten stream nothing is heard, and its memory may go at once") {
  // Where the owner lets go, by the number of the call.
  for (int where = 0; where < 8; ++where) {
    CAPTURE(where);
    ServerEnd server;
    ClientEnd client;
    exchange(client, server);
    const auto drop = [](End& end, TestStream& stream) {
      end.session.forget(stream);
      for (auto& owned : end.streams)
        if (owned.get() == &stream) owned = nullptr;
    };
    if (where == 0) server.on_head = [&](TestStream& stream) { drop(server, stream); };
    if (where == 1) server.on_data = [&](TestStream& stream) { drop(server, stream); };
    if (where == 2) server.on_end = [&](TestStream& stream) { drop(server, stream); };
    const bool answer = where >= 3;
    if (answer)
      server.on_end = [&](TestStream& stream) {
        server.session.respond(stream, response(200), false);
        server.session.send(stream, as_bytes(pattern(100000)));
        server.session.end(stream, nullptr);
      };
    if (where == 3) server.on_sent = [&](TestStream& stream) { drop(server, stream); };
    if (where == 4) client.on_head = [&](TestStream& stream) { drop(client, stream); };
    if (where == 5) client.on_data = [&](TestStream& stream) { drop(client, stream); };
    if (where == 6) client.on_sent = [&](TestStream& stream) { drop(client, stream); };
    TestStream& stream = client.open("POST", false);
    client.session.send(stream, as_bytes(pattern(50000)));
    client.session.end(stream, nullptr);
    if (where == 7) drop(client, stream);
    exchange(client, server);
    CHECK(client.session.streams() == 0);
    CHECK(server.session.streams() == 0);
    CHECK_FALSE(client.session.failed());
    CHECK_FALSE(server.session.failed());
    client.on_head = client.on_data = client.on_sent = nullptr;
    server.on_head = server.on_data = server.on_sent = nullptr;
    client.log.clear();
    TestStream& next = client.open();
    server.on_end = [&](TestStream& s) { server.session.respond(s, response(204, Body::none), true); };
    exchange(client, server);
    CHECK(next.closed);
    CHECK(next.response_head.status == 204);
  }
}

TEST_CASE("h2 session: a stream may be reset and answered from within its callbacks") {
  ServerEnd server;
  ClientEnd client;
  server.on_head = [&](TestStream& stream) {
    if (stream.number == 0) return server.session.reset(stream, H2Code::http_1_1_required);
    server.session.respond(stream, response(200), false);
    server.session.send(stream, as_bytes("early"));
    server.session.end(stream, nullptr);
  };
  server.on_sent = [&](TestStream& stream) {
    if (stream.number == 2) server.session.reset(stream, H2Code::cancel);
  };
  for (int i = 0; i < 3; ++i) client.session.send(client.open("POST", false), as_bytes("body"));
  exchange(client, server);
  CHECK(client.stream(0).code == H2Code::http_1_1_required);
  CHECK(client.stream(1).body == "early");
  CHECK(client.stream(1).ended);
  CHECK_FALSE(client.stream(1).closed);
  client.session.end(client.stream(1), nullptr);
  exchange(client, server);
  CHECK(client.stream(1).closed);
  CHECK(client.stream(2).closed);
  CHECK(client.session.streams() == 0);
}

TEST_CASE("h2 session: what is done to a stream after its end is ignored") {
  ServerEnd server;
  ClientEnd client;
  TestStream& stream = client.open("POST", false);
  client.session.send(stream, as_bytes("a"));
  client.session.end(stream, nullptr);
  client.session.send(stream, as_bytes("b"));
  client.session.end(stream, &stream.out_trailers);
  exchange(client, server);
  CHECK(server.stream(0).body == "a");
  CHECK(server.stream(0).ended);
  CHECK(stream.end_sent());
  TestStream& done = client.open("POST", true);
  client.session.send(done, as_bytes("b"));
  exchange(client, server);
  CHECK(server.stream(1).body.empty());
  CHECK(server.stream(1).request_head.body == Body::none);
  // Before: a response that has ended drops what was queued for it.
  server.session.send(server.stream(1), as_bytes("b"));
  server.session.respond(server.stream(1), response(204, Body::none), true);
  CHECK(server.stream(1).pending() == 0);
  CHECK(server.session.buffered() == 0);
  exchange(client, server);
  CHECK(done.closed);
  CHECK(done.body.empty());
}

TEST_CASE("h2 session: streams that are still open when it dies are let go") {
  ChunkPool pool;
  TestStream stream(pool, 0);
  {
    ClientEnd client;
    stream.request_head.method = "POST";
    stream.request_head.target = "/";
    client.session.open(stream, stream.request_head, "https", {}, false);
    client.session.send(stream, as_bytes("x"));
    CHECK(stream.id() == 1);
  }
  CHECK(stream.id() == 0);
  CHECK(pool.in_use() == 0);
}
