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
