#include "layers/terminate/websocket.h"

#include "catch.h"

namespace sallyport {
namespace {

http::RequestHead extended_connect(std::string_view protocol) {
  http::RequestHead request;
  request.method = "CONNECT";
  request.connect_protocol = protocol;
  request.body = http::Body::chunked;
  request.fields.add("sec-websocket-version", "13");
  return request;
}

}  // namespace

TEST_CASE("websocket: an extended CONNECT becomes an Upgrade with a key of its own") {
  http::RequestHead request = extended_connect("websocket");
  make_upgrade_request(request);
  CHECK(request.method == "GET");
  CHECK(request.wants_upgrade);
  CHECK(request.body == http::Body::none);
  CHECK(request.fields.find("upgrade") == "websocket");
  CHECK_FALSE(request.fields.find("sec-websocket-key").has_value());
  complete_websocket_request(request);
  std::string key(request.fields.find("sec-websocket-key").value_or(""));
  CHECK(key.size() == 24);
  complete_websocket_request(request);  // a second attempt keeps it
  CHECK(request.fields.find("sec-websocket-key") == key);

  http::RequestHead other = extended_connect("websocket");
  make_upgrade_request(other);
  complete_websocket_request(other);
  CHECK(other.fields.find("sec-websocket-key") != key);
}

TEST_CASE("websocket: the server's answer has to belong to the key") {
  http::RequestHead request = extended_connect("websocket");
  make_upgrade_request(request);
  request.fields.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");  // RFC 6455 section 1.3
  http::ResponseHead good;
  good.status = 101;
  good.fields.add("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  CHECK(make_connect_response(request, good));
  CHECK(good.status == 200);
  CHECK_FALSE(good.fields.find("sec-websocket-accept").has_value());
  http::ResponseHead wrong;
  wrong.status = 101;
  wrong.fields.add("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=");
  CHECK_FALSE(make_connect_response(request, wrong));
  http::ResponseHead none;
  none.status = 101;
  CHECK_FALSE(make_connect_response(request, none));
}

TEST_CASE("websocket: other protocols have no key") {
  http::RequestHead request = extended_connect("spdy/3.1");
  make_upgrade_request(request);
  complete_websocket_request(request);
  CHECK_FALSE(request.fields.find("sec-websocket-key").has_value());
  http::ResponseHead response;
  response.status = 101;
  CHECK(make_connect_response(request, response));
}

TEST_CASE("websocket: a stream's 2xx becomes the 101 that an HTTP/1.1 client waits for") {
  http::RequestHead request;
  request.method = "GET";
  request.wants_upgrade = true;
  request.fields.add("Upgrade", "websocket");
  request.fields.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  http::ResponseHead response;
  response.status = 200;
  response.body = http::Body::chunked;
  make_upgrade_response(request, response);
  CHECK(response.status == 101);
  CHECK(response.body == http::Body::none);
  CHECK(response.fields.find("upgrade") == "websocket");
  CHECK(response.fields.find("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace sallyport
