#include "cli/demo/conversation.h"

#include "base/format.h"
#include "base/text.h"
#include "http/h1_writer.h"
#include "net/proxy_header.h"

namespace sallyport::demo {
namespace {

void append_number(std::string& out, size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
}

}  // namespace

bool HttpConversation::feed(Bytes input, std::string& out) {
  if (websocket_) return websocket_->feed(input, out);
  input_.append(as_text(input));
  Bytes rest = as_bytes(input_);
  for (;;) {
    switch (reader_.next(rest, request_, trailers_)) {
      case http::H1Event::need_more: input_ = std::string(as_text(rest)); return true;
      case http::H1Event::head:
        body_size_ = 0;
        if (request_.expect_continue) out += "HTTP/1.1 100 Continue\r\n\r\n";
        break;
      case http::H1Event::body: body_size_ += reader_.body().size(); break;
      case http::H1Event::complete:
        if (!answer(out)) return false;
        if (websocket_) return websocket_->feed(rest, out);
        break;
      case http::H1Event::error:
        request_.keep_alive = false;
        respond(out, reader_.failure().status, std::string(reader_.failure().why) + "\n");
        return false;
    }
  }
}

bool HttpConversation::answer(std::string& out) {
  if (request_.path() != "/ws") {
    respond(out, 200, received());
    return request_.keep_alive;
  }
  auto key = request_.fields.find("Sec-WebSocket-Key");
  auto protocol = request_.fields.find(http::HeaderId::upgrade);
  if (!request_.wants_upgrade || !key || !protocol || !equal_ignoring_case(*protocol, "websocket")) {
    respond(out, 400, "Here is a WebSocket: ask for an upgrade.\n");
    return request_.keep_alive;
  }
  http::ResponseHead head;
  head.status = 101;
  head.reason = http::reason_phrase(101);
  head.fields.add("Upgrade", "websocket");
  head.fields.add("Sec-WebSocket-Accept", websocket_accept(*key));
  append_response_head(out, head, {.upgrade = true});
  websocket_.emplace();
  return true;
}

void HttpConversation::respond(std::string& out, int status, const std::string& body) const {
  http::ResponseHead head;
  head.status = status;
  head.reason = http::reason_phrase(status);
  head.fields.add("Date", http::http_date());
  head.fields.add("Content-Type", "text/plain; charset=utf-8");
  head.body = http::Body::sized;
  head.content_length = body.size();
  append_response_head(out, head, {.close = !request_.keep_alive, .http10 = request_.version_minor == 0});
  if (!request_.is_head()) out += body;
}

std::string HttpConversation::received() const {
  std::string text = introduction_ + " It received:\n\n";
  text += format("{} {} HTTP/1.{}\n", request_.method, request_.target, request_.version_minor);
  text += format("Host: {}\n", request_.authority);
  request_.fields.for_each(
      [&](const http::Header& header, http::HeaderId) { text += format("{}: {}\n", header.name, header.value); });
  if (request_.body != http::Body::none) text += format("\nand a body of {} bytes\n", body_size_);
  return text;
}

void SshConversation::begin(std::string& out) { out += "SSH-2.0-sallyport_demo\r\n"; }

bool SshConversation::feed(Bytes input, std::string& out) {
  static constexpr size_t kMostGreeting = 255;
  seen_ += input.size();
  if (as_text(input).find('\n') == std::string_view::npos) return seen_ <= kMostGreeting;
  static constexpr std::string_view kFarewell = "this sample server has a greeting and nothing else";
  std::string message = "\x01";  // SSH_MSG_DISCONNECT
  append_number(message, 11);    // SSH_DISCONNECT_BY_APPLICATION
  append_number(message, kFarewell.size());
  message += kFarewell;
  append_number(message, 0);  // no language tag
  // RFC 4253 section 6: both lengths, message and padding come to a multiple of 8, with 4 bytes of padding or more.
  size_t padding = 8 - (5 + message.size()) % 8;
  if (padding < 4) padding += 8;
  append_number(out, 1 + message.size() + padding);
  out += static_cast<char>(padding);
  out += message;
  out.append(padding, '\0');
  return false;
}

bool TcpConversation::feed(Bytes input, std::string& out) {
  if (greeted_) {
    out.append(as_text(input));
    return true;
  }
  input_.append(as_text(input));
  ProxyHeader header;
  size_t consumed = 0;
  const char* why = "";
  switch (parse_proxy_header(as_bytes(input_), header, consumed, &why)) {
    case ProxyParse::need_more: return true;
    case ProxyParse::malformed: out += "this server wants a PROXY header first\n"; return false;
    case ProxyParse::done: break;
  }
  greeted_ = true;
  out += format("This is the sample TCP server. The PROXY header says that you are {}.\n", header.source.text());
  out.append(input_, consumed);
  input_.clear();
  return true;
}

}  // namespace sallyport::demo
