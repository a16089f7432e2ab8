#include "http/h2_session.h"

#include "catch.h"
#include "http/h2_world.h"

using namespace sallyport;
using namespace sallyport::http;

TEST_CASE("h2 session: a request and its response cross, with bodies and trailers") {
  ServerEnd server;
  ClientEnd client;
  server.on_end = [&](TestStream& stream) {
    server.session.respond_interim(stream, response(103));
    ResponseHead head = response(200);
    head.fields.add("Content-Type", "text/plain");
    head.fields.add("Connection", "keep-alive");
    server.session.respond(stream, head, false);
    server.session.send(stream, as_bytes("answer"));
    stream.out_trailers.add("Grpc-Status", "0");
    server.session.end(stream, &stream.out_trailers);
  };
  TestStream& stream = client.open("POST", false);
  client.session.send(stream, as_bytes("question"));
  client.session.end(stream, nullptr);
  exchange(client, server);
  CHECK(server.log ==
        "open\n0 head POST / 1.0 authority=a.example host=a.example port=0 chunked:0 keep\n0 end 8 bytes\n"
        "0 closed NO_ERROR\n");
  CHECK(server.stream(0).body == "question");
  CHECK(client.log ==
        "0 head 103  1.1 none:0 keep\n0 head 200  1.1 chunked:0 keep [content-type: text/plain]\n"
        "0 end 6 bytes [grpc-status: 0]\n0 closed NO_ERROR\n");
  CHECK(client.stream(0).body == "answer");
  CHECK(server.session.streams() == 0);
  CHECK(client.session.streams() == 0);
  CHECK(client.session.settings_received());
  CHECK(client.session.extended_connect());
  CHECK(client.session.streams_allowed() == 100);
}

namespace {

// Streams of the DATA frames, in order.
std::string data_order(const std::vector<Frame>& frames) {
  std::string out;
  for (const Frame& f : frames)
    if (f.type == kData) out += fmt::format("{}", f.stream);
  return out;
}

}  // namespace

TEST_CASE("h2 session: large bodies cross whole, however they are cut") {
  for (size_t piece_size : {size_t{1}, size_t{1000}, size_t{16384}, size_t{100000}}) {
    CAPTURE(piece_size);
    const std::string body = pattern(piece_size == 1 ? 3000 : 1000000);
    ServerEnd server;
    ClientEnd client;
    server.on_end = [&](TestStream& stream) {
      server.session.respond(stream, response(200), false);
      for (size_t at = 0; at < stream.body.size(); at += piece_size)
        server.session.send(stream, as_bytes(std::string_view(stream.body).substr(at, piece_size)));
      server.session.end(stream, nullptr);
      CHECK(stream.pending() == body.size());
      CHECK(server.session.buffered() == body.size());
    };
    TestStream& stream = client.open("POST", false);
    for (size_t at = 0; at < body.size(); at += piece_size)
      client.session.send(stream, as_bytes(std::string_view(body).substr(at, piece_size)));
    client.session.end(stream, nullptr);
    CHECK_FALSE(stream.end_sent());
    CHECK(stream.end_queued());
    exchange(client, server);
    CHECK(server.stream(0).body == body);
    CHECK(stream.body == body);
    CHECK(stream.closed);
    CHECK(stream.code == H2Code::no_error);
    CHECK(stream.sent_calls >= body.size() / 16384);
    CHECK(client.session.buffered() == 0);
    CHECK(server.session.buffered() == 0);
    CHECK(client.session.progress() >= 2 * body.size());
    CHECK(client.pool.in_use() == 0);
    CHECK(server.pool.in_use() == 0);
  }
}

TEST_CASE("h2 session: produce stops near what was asked for, and goes on from there") {
  ServerEnd server;
  ClientEnd client;
  exchange(client, server);
  TestStream& stream = client.open("POST", false);
  const std::string body = pattern(60000);
  client.session.send(stream, as_bytes(body));
  CHECK(client.session.wants_write());
  for (int i = 0; i < 3; ++i) {
    CHECK(client.session.produce(10000));
    CHECK(client.out.size() >= 10000);
    CHECK(client.out.size() <= 10000 + 16384 + 200);
    server.receive(std::exchange(client.out, {}));
  }
  CHECK_FALSE(client.session.produce(100000));
  server.receive(std::exchange(client.out, {}));
  CHECK(server.stream(0).body == body);
  CHECK_FALSE(client.session.wants_write());
  // Chunks go out as they lie: no more pieces than frames and chunks.
  CHECK(client.writes < 16);
}

TEST_CASE("h2 session: a stream that is not read stops its sender, and no other stream") {
  ServerEnd server;
  ClientEnd client;
  exchange(client, server);
  server.consume = false;
  TestStream& stuck = client.open("POST", false);
  client.session.send(stuck, as_bytes(pattern(200000)));
  exchange(client, server);
  CHECK(server.stream(0).body.size() == 65536);
  CHECK(stuck.pending() == 200000 - 65536);
  server.consume = true;
  for (int i = 0; i < 99; ++i) {
    TestStream& other = client.open("POST", false);
    client.session.send(other, as_bytes(pattern(100000)));
    client.session.end(other, nullptr);
  }
  exchange(client, server);
  for (size_t i = 1; i < 100; ++i) CHECK(server.stream(i).body.size() == 100000);
  CHECK(server.stream(0).body.size() == 65536);
  server.consume = false;
  // As much comes as is dealt with; windows go back in halves.
  server.session.consume(server.stream(0), 40000);
  exchange(client, server);
  CHECK(server.stream(0).body.size() == 65536 + 40000);
  server.session.consume(server.stream(0), 1000000);
  server.consume = true;
  exchange(client, server);
  CHECK(server.stream(0).body.size() == 200000);
}

TEST_CASE("h2 session: what all streams hold together is bounded, and comes back when they let go") {
  for (const char* how : {"consume", "reset", "forget"}) {
    CAPTURE(how);
    ServerEnd server;
    ClientEnd client;
    exchange(client, server);
    server.consume = false;
    for (int i = 0; i < 100; ++i) client.session.send(client.open("POST", false), as_bytes(pattern(65536)));
    exchange(client, server);
    const auto received = [&] {
      size_t sum = 0;
      for (const auto& stream : server.streams) sum += stream->body.size();
      return sum;
    };
    CHECK(received() >= 4 * 1024 * 1024);
    CHECK(received() <= 5 * 1024 * 1024);
    for (size_t i = 0; i < 100; ++i) {
      if (*how == 'c') server.session.consume(server.stream(i), server.stream(i).body.size());
      if (*how == 'r') server.session.reset(server.stream(i), H2Code::cancel);
      if (*how == 'f') server.session.forget(server.stream(i));
    }
    exchange(client, server);
    if (*how == 'c') CHECK(received() == 100 * 65536);
    server.consume = true;
    // The connection has its whole window again.
    client.session.forget(client.stream(0));
    exchange(client, server);
    for (size_t i = 0; i < 100; ++i) client.session.forget(client.stream(i));
    exchange(client, server);
    for (int i = 0; i < 20; ++i) client.session.send(client.open("POST", false), as_bytes(pattern(65536)));
    exchange(client, server);
    for (size_t i = server.streams.size() - 20; i < server.streams.size(); ++i)
      CHECK(server.stream(i).body.size() == 65536);
  }
}

TEST_CASE("h2 session: the window of a stream that is read promptly grows, of four at a time") {
  ServerEnd server;
  ClientEnd client;
  exchange(client, server);
  for (int i = 0; i < 6; ++i) client.session.send(client.open("POST", false), as_bytes(pattern(100000)));
  exchange(client, server);
  server.consume = false;
  for (size_t i = 0; i < 6; ++i) client.session.send(client.stream(i), as_bytes(pattern(2000000)));
  exchange(client, server);
  size_t wide = 0;
  for (const auto& stream : server.streams) wide += stream->body.size() > 100000 + 500000;
  CHECK(wide == 4);
  // One that ends makes room for another.
  for (size_t i = 0; i < 6; ++i)
    if (server.stream(i).body.size() > 600000) {
      server.session.forget(server.stream(i));
      break;
    }
  server.consume = true;
  for (size_t i = 0; i < 6; ++i) server.session.consume(server.stream(i), 2000000);
  exchange(client, server);
  size_t whole = 0;
  for (const auto& stream : server.streams) whole += stream->body.size() == 2100000;
  CHECK(whole == 5);
}

TEST_CASE("h2 session: HEAD, trailers alone, trailers of nothing, CONNECT") {
  ServerEnd server;
  ClientEnd client;
  server.on_head = [&](TestStream& stream) {
    ResponseHead head = response(200);
    if (stream.request_head.is_head()) {
      head.body = Body::none;
      head.has_content_length = true;
      head.content_length = 12;
      return server.session.respond(stream, head, true);
    }
    server.session.respond(stream, head, false);
    if (stream.request_head.target == "/trailers") stream.out_trailers.add("Grpc-Status", "7");
    if (stream.request_head.target == "/nothing") stream.out_trailers.add("Content-Length", "7");
    if (stream.request_head.connect_protocol.empty()) server.session.end(stream, &stream.out_trailers);
  };
  client.open("HEAD");
  client.open("GET", true, "/trailers");
  client.open("GET", true, "/nothing");
  TestStream& socket = client.open("GET", false, "/socket", "websocket");
  exchange(client, server);
  CHECK(client.stream(0).response_head.has_content_length);
  CHECK(client.stream(0).response_head.content_length == 12);
  CHECK(client.stream(0).response_head.body == Body::none);
  CHECK(client.stream(0).closed);
  CHECK(describe(client.stream(1).trailer_fields) == " [grpc-status: 7]");
  CHECK(client.stream(2).ended);
  CHECK(client.stream(2).trailer_fields.empty());
  CHECK(server.stream(3).request_head.connect_protocol == "websocket");
  CHECK(server.stream(3).request_head.target == "/socket");
  client.session.send(socket, as_bytes("ping"));
  server.session.send(server.stream(3), as_bytes("pong"));
  exchange(client, server);
  CHECK(server.stream(3).body == "ping");
  CHECK(socket.body == "pong");
  client.session.end(socket, nullptr);
  server.session.end(server.stream(3), nullptr);
  exchange(client, server);
  CHECK(socket.closed);
  CHECK(socket.code == H2Code::no_error);
}

TEST_CASE("h2 session: as many streams as the server takes, and a guess before it says") {
  H2Limits limits;
  limits.streams = 3;
  ServerEnd server(limits);
  ClientEnd client;
  CHECK_FALSE(client.session.settings_received());
  CHECK(client.session.streams_allowed() == 100);
  CHECK_FALSE(client.session.extended_connect());
  client.open();
  CHECK(client.session.streams_allowed() == 99);
  exchange(client, server);
  CHECK(client.changes == 1);
  CHECK(client.session.streams_allowed() == 2);
  for (int i = 0; i < 4; ++i) client.open();
  CHECK(client.session.streams_allowed() == 0);
  exchange(client, server);
  CHECK(server.streams.size() == 3);
  server.session.respond(server.stream(0), response(200, Body::none), true);
  exchange(client, server);
  CHECK(server.streams.size() == 4);  // one that waited
  // One that still waits is let go without the server hearing of it.
  client.session.forget(client.stream(4));
  for (size_t i = 1; i < 4; ++i) server.session.respond(server.stream(i), response(200, Body::none), true);
  exchange(client, server);
  CHECK(server.streams.size() == 4);
  CHECK(client.session.streams() == 0);
  CHECK(client.session.streams_allowed() == 3);
}

TEST_CASE("h2 session: a server that sets no limit gets a thousand streams at most") {
  ClientEnd client;
  client.receive(settings());
  CHECK(client.session.streams_allowed() == 1000);
  CHECK_FALSE(client.session.extended_connect());
  client.receive(settings(setting(3, 0)));
  CHECK(client.session.streams_allowed() == 0);
  client.receive(settings(setting(3, 5) + setting(8, 1)));
  CHECK(client.session.streams_allowed() == 5);
  CHECK(client.session.extended_connect());
  CHECK(client.changes == 3);
}

TEST_CASE("h2 session: too large a head is answered, one that cannot be sent is reset") {
  ServerEnd server;
  server.on_head = [&](TestStream& stream) {
    if (stream.too_large) server.session.respond(stream, response(431, Body::none), true);
  };
  const std::string half(16000, 'x');
  const std::string fields = block(get() + Fields{{"a", half}, {"b", half}, {"c", half}});
  std::string bytes = frame(kHeaders, 1, 1, fields.substr(0, 16384));
  bytes += frame(kContinuation, 0, 1, fields.substr(16384, 16384));
  bytes += frame(kContinuation, 4, 1, fields.substr(32768));
  server.receive(preface() + bytes);
  CHECK(server.stream(0).too_large);
  CHECK(server.stream(0).request_head.target == "/");
  const auto frames = server.take_frames();
  CHECK(frames.back().type == kHeaders);
  CHECK_FALSE(server.session.failed());
  server.receive(headers(3, get()));
  ResponseHead large = response(200);
  large.fields.add("x", std::string(60000, 'x'));
  server.session.respond(server.stream(1), large, true);
  std::string types;
  for (const Frame& f : server.take_frames()) types += fmt::format("{} ", type_name(f.type));
  CHECK(types == "HEADERS CONTINUATION CONTINUATION CONTINUATION ");
  server.receive(headers(5, get()));
  large.fields.add("y", std::string(2000000, 'x'));
  server.session.respond(server.stream(2), large, true);
  server.take();
  CHECK(server.stream(2).code == H2Code::internal_error);
  CHECK_FALSE(server.session.failed());
}

TEST_CASE("h2 session: urgent streams go first, incremental ones share (RFC 9218)") {
  struct Row {
    const char* name;
    std::vector<std::string> priorities;  // of streams 1, 3, 5
    std::string updates;
    std::vector<std::string> merged;
    std::string order;
  };
  const auto update = [](uint32_t stream, std::string_view value) {
    return frame(kPriorityUpdate, 0, 0, u32(stream) + std::string(value));
  };
  const std::vector<Row> rows = {
      {"none", {"", "", ""}, "", {}, "111333555"},
      {"urgency", {"u=5", "u=1", "u=3"}, "", {}, "333555111"},
      {"incremental", {"i", "i", "i"}, "", {}, "135135135"},
      {"incremental, of one urgency", {"u=2, i", "u=1, i", "u=2, i"}, "", {}, "333151515"},
      {"updated", {"u=5", "u=1", ""}, update(1, "u=0") + update(5, "u=1"), {}, "111333555"},
      {"updated to incremental", {"", "", "u=7"}, update(1, "i") + update(3, "i"), {}, "131313555"},
      {"a response's own field", {"u=5", "u=1", "u=3"}, "", {"u=0", "", ""}, "111333555"},
      {"merged with what was asked for", {"u=1", "u=1, i", "u=0, i"}, "", {"i", "", "u=1"}, "135135135"},
      {"nonsense", {"u=9", "x=1, u=2", "?"}, "", {}, "333111555"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    ServerEnd server;
    std::string bytes = preface() + settings(setting(4, 100000)) + window_update(0, 1000000);
    for (uint32_t i = 0; i < 3; ++i)
      bytes += headers(2 * i + 1, row.priorities[i].empty() ? get() : get() + Fields{{"priority", row.priorities[i]}});
    server.receive(bytes + row.updates);
    server.take();
    for (size_t i = 0; i < 3; ++i) {
      server.session.respond(server.stream(i), response(200), false);
      if (!row.merged.empty()) server.session.prioritize(server.stream(i), row.merged[i]);
    }
    server.take();
    for (size_t i = 0; i < 3; ++i) {
      server.session.send(server.stream(i), as_bytes(pattern(3 * 16384)));
      server.session.end(server.stream(i), nullptr);
    }
    CHECK(data_order(server.take_frames()) == row.order);
  }
}
