#include "cli/demo/conversation.h"

#include "catch.h"

using namespace sallyport;
using namespace sallyport::demo;

namespace {

// What comes back when the bytes arrive one at a time, and whether it goes on.
std::pair<std::string, bool> talk(Conversation& conversation, std::string_view bytes) {
  std::string out;
  conversation.begin(out);
  bool open = true;
  for (char byte : bytes) {
    open = conversation.feed(as_bytes({&byte, 1}), out);
    if (!open) break;
  }
  return {out, open};
}

}  // namespace

TEST_CASE("demo http: answers with what it received, and keeps the connection") {
  HttpConversation http("Hello.");
  auto [out, open] = talk(http,
                          "POST /x?y=1 HTTP/1.1\r\nHost: a.localhost\r\nX-One: 1\r\nContent-Length: 3\r\n\r\nabc"
                          "GET /second HTTP/1.1\r\nHost: a.localhost\r\n\r\n");
  CHECK(open);
  CHECK(out.find("HTTP/1.1 200 OK\r\n") == 0);
  CHECK(
      out.find("Hello. It received:\n\nPOST /x?y=1 HTTP/1.1\nHost: a.localhost\nX-One: 1\n\nand a body of 3 bytes\n") !=
      std::string::npos);
  CHECK(out.find("GET /second HTTP/1.1\n") != std::string::npos);
}

TEST_CASE("demo http: 100 Continue, HEAD, Connection: close, and a broken request") {
  struct Row {
    const char* request;
    const char* in_answer;
    bool open;
  };
  for (const Row& row : {Row{"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
                             "HTTP/1.1 100 Continue\r\n\r\n", true},
                         Row{"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "Content-Length: ", true},
                         Row{"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "Connection: close\r\n", false},
                         Row{"GET / HTTP/1.1\r\nBad Header: a\r\n\r\n", "HTTP/1.1 400 ", false}}) {
    CAPTURE(row.request);
    HttpConversation http("Hello.");
    auto [out, open] = talk(http, row.request);
    CHECK(out.find(row.in_answer) != std::string::npos);
    CHECK(open == row.open);
  }
  HttpConversation http("Hello.");
  CHECK(talk(http, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").first.find("Hello.") == std::string::npos);
}

TEST_CASE("demo http: /ws becomes a WebSocket, also for bytes that came along; without an upgrade it says so") {
  const std::string_view request =
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  const std::string_view frame{"\x81\x82\0\0\0\0hi", 8};
  HttpConversation http("Hello.");
  std::string out;
  CHECK(http.feed(as_bytes(std::string(request) + std::string(frame)), out));
  CHECK(out.find("HTTP/1.1 101 Switching Protocols\r\n") == 0);
  CHECK(out.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") != std::string::npos);
  CHECK(out.substr(out.size() - 4) == "\x81\x02hi");

  HttpConversation other("Hello.");
  auto [answer, open] = talk(other, "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(answer.find("HTTP/1.1 400 ") == 0);
  CHECK(open);
}

TEST_CASE("demo ssh: greets first, and leaves with a well-formed SSH_MSG_DISCONNECT") {
  SshConversation ssh;
  auto [out, open] = talk(ssh, "SSH-2.0-OpenSSH_9.2\r\n");
  CHECK_FALSE(open);
  const std::string greeting = "SSH-2.0-sallyport_demo\r\n";
  REQUIRE(out.starts_with(greeting));
  const std::string packet = out.substr(greeting.size());
  CHECK(packet.size() % 8 == 0);
  CHECK(packet.substr(0, 3) == std::string(3, '\0'));
  CHECK(static_cast<uint8_t>(packet[3]) + 4u == packet.size());
  CHECK(static_cast<uint8_t>(packet[4]) >= 4);
  CHECK(packet.substr(5, 5) == std::string("\x01\0\0\0\x0b", 5));
  CHECK(packet.find("greeting and nothing else") != std::string::npos);

  SshConversation endless;
  CHECK_FALSE(talk(endless, std::string(300, 'x')).second);
}

TEST_CASE("demo tcp: tells what the PROXY header said, then echoes") {
  TcpConversation tcp;
  auto [out, open] = talk(tcp, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 8025\r\nhello");
  CHECK(open);
  CHECK(out == "This is the sample TCP server. The PROXY header says that you are 192.0.2.7:4711.\nhello");

  TcpConversation none;
  auto [refusal, still_open] = talk(none, "hello, I have no header\r\n");
  CHECK_FALSE(still_open);
  CHECK(refusal == "this server wants a PROXY header first\n");
}
