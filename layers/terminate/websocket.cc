#include "layers/terminate/websocket.h"

#include <sys/random.h>

#include <array>
#include <string>

#include "base/text.h"
#include "transport/crypto.h"

namespace sallyport {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 section 1.3
constexpr std::string_view kKey = "Sec-WebSocket-Key";
constexpr std::string_view kAccept = "Sec-WebSocket-Accept";

std::string accept_for(std::string_view key) {
  std::string text(key);
  text += kGuid;
  return base64(sha1(as_bytes(text)));
}

bool asks_for_websocket(const http::RequestHead& request) {
  auto upgrade = request.fields.find(http::HeaderId::upgrade);
  return upgrade && equal_ignoring_case(*upgrade, "websocket");
}

}  // namespace

void make_upgrade_request(http::RequestHead& request) {
  request.method = "GET";
  request.wants_upgrade = true;
  request.fields.remove(http::HeaderId::upgrade);
  request.fields.add("Upgrade", request.connect_protocol);
  request.fields.remove(kKey);
  request.fields.remove(kAccept);
  request.body = http::Body::none;
  request.content_length = 0;
}

void complete_websocket_request(http::RequestHead& request) {
  if (!asks_for_websocket(request) || request.fields.find(kKey)) return;
  std::array<uint8_t, 16> nonce{};
  if (getrandom(nonce.data(), nonce.size(), 0) != static_cast<ssize_t>(nonce.size())) nonce.fill(0x5a);
  request.fields.add(kKey, base64(nonce));
}

bool make_connect_response(const http::RequestHead& request, http::ResponseHead& response) {
  if (asks_for_websocket(request)) {
    size_t found = 0;
    std::string_view accept;
    response.fields.for_each([&](const http::Header& field, http::HeaderId) {
      if (!equal_ignoring_case(field.name, kAccept)) return;
      ++found;
      accept = field.value;
    });
    if (found != 1 || accept != accept_for(request.fields.find(kKey).value_or(""))) return false;
    response.fields.remove(kAccept);
  }
  response.status = 200;
  response.body = http::Body::chunked;
  return true;
}

void make_upgrade_response(const http::RequestHead& request, http::ResponseHead& response) {
  response.status = 101;
  response.reason.clear();
  response.body = http::Body::none;
  response.has_content_length = false;
  if (auto protocol = request.fields.find(http::HeaderId::upgrade))
    response.fields.set("Upgrade", std::string(*protocol));
  if (auto key = request.fields.find(kKey)) response.fields.set(kAccept, accept_for(*key));
}

}  // namespace sallyport
