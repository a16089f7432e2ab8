#include "connection.h"
#include "load.h"

namespace bench {
namespace {

// RFC 6455 section 5.2: a final binary message, masked as a client must; lengths from 126 to 65,535 take two bytes
// more.
std::string frame(const std::string& payload, bool masked) {
  const char mask[4] = {'\x5a', '\x13', '\x77', '\x21'};
  std::string out = "\x82";
  char bit = masked ? '\x80' : '\0';
  if (payload.size() < 126) {
    out += static_cast<char>(bit | static_cast<char>(payload.size()));
  } else {
    out += static_cast<char>(bit | '\x7e');
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 0xff);
  }
  if (masked) out.append(mask, sizeof mask);
  for (size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(masked ? payload[i] ^ mask[i % 4] : payload[i]);
  return out;
}

bool open(const LoadOptions& options, SSL_CTX* context, Connection& connection, std::string& buffered) {
  std::string head;
  if (!connection.start_client_tls(context, options.host, nullptr)) return false;
  return connection.write("GET /echo HTTP/1.1\r\nHost: " + options.host +
                          "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n") &&
         connection.read_head(head, buffered) && head.compare(0, 12, "HTTP/1.1 101") == 0;
}

}  // namespace

int websocket(const LoadOptions& all) {
  return run_threads(all, [](const LoadOptions& options, Clock::time_point end, Tally& tally) {
    std::string payload;
    for (size_t i = 0; i < options.message; ++i) payload += static_cast<char>('a' + i % 26);
    const std::string sent = frame(payload, true);
    const std::string expected = frame(payload, false);
    SslContext context(SSL_CTX_new(TLS_client_method()));
    Connection connection(Connection::dial(options.port));
    std::string buffered;
    if (!open(options, context.get(), connection, buffered)) {
      ++tally.errors;
      return;
    }
    for (auto start = Clock::now(); start < end;) {
      if (!connection.write(sent) || !connection.read_at_least(buffered, expected.size()) || buffered != expected) {
        ++tally.errors;
        return;
      }
      buffered.clear();
      auto now = Clock::now();
      ++tally.requests;
      tally.bytes += expected.size();
      tally.took(start, now);
      start = now;
    }
  });
}

}  // namespace bench
