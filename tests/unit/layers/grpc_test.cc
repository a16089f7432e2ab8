#include "layers/terminate/grpc.h"

#include "catch.h"

namespace sallyport {
namespace {

http::HeaderList fields(std::string_view name, std::string_view value) {
  http::HeaderList list;
  list.add(name, value);
  return list;
}

}  // namespace

TEST_CASE("grpc: a call is told by its content type") {
  CHECK(is_grpc(fields("content-type", "application/grpc")));
  CHECK(is_grpc(fields("Content-Type", "application/grpc+proto")));
  CHECK(is_grpc(fields("content-type", "Application/GRPC; charset=utf-8")));
  CHECK_FALSE(is_grpc(fields("content-type", "application/grpc-web")));
  CHECK_FALSE(is_grpc(fields("content-type", "application/grpcx")));
  CHECK_FALSE(is_grpc(fields("content-type", "text/html")));
  CHECK_FALSE(is_grpc({}));
}

TEST_CASE("grpc: the timeout is read in each of its units") {
  struct Row {
    const char* text;
    int64_t ms;
  };
  for (const Row& row :
       {Row{"2H", 7'200'000}, Row{"3M", 180'000}, Row{"10S", 10'000}, Row{"250m", 250}, Row{"1500u", 2}, Row{"1n", 1},
        Row{"99999999S", 99'999'999'000}, Row{"", 0}, Row{"S", 0}, Row{"10", 0}, Row{"-1S", 0}, Row{"1.5S", 0},
        Row{"10X", 0}, Row{"123456789S", 0}, Row{" 1S", 0}}) {
    CAPTURE(row.text);
    CHECK(grpc_timeout(fields("grpc-timeout", row.text)).count() == row.ms);
  }
  CHECK(grpc_timeout({}).count() == 0);
}

TEST_CASE("grpc: an error of ours is trailers alone") {
  http::Reply reply = grpc_reply(503, "Service Unavailable");
  CHECK(reply.head.status == 200);
  CHECK(reply.body.empty());
  CHECK(reply.head.fields.find("grpc-status") == "14");
  CHECK(reply.head.fields.find("grpc-message") == "Service Unavailable");
  CHECK(reply.head.fields.find("content-type") == "application/grpc");
  CHECK(grpc_reply(404, "").head.fields.find("grpc-status") == "12");
  CHECK(grpc_reply(403, "").head.fields.find("grpc-status") == "7");
  CHECK(grpc_reply(418, "").head.fields.find("grpc-status") == "2");
}

}  // namespace sallyport
