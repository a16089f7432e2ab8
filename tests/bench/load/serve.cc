#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <numeric>
#include <thread>

#include "connection.h"
#include "load.h"

namespace bench {
namespace {

constexpr size_t kRecord = 512;         // bytes of plaintext
constexpr int kRecordsBeforePause = 8;  // what a slow server has at a time
constexpr auto kPause = std::chrono::microseconds(250);

int listen_on(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 || listen(fd, 4096) != 0) {
    std::perror("bind");
    return -1;
  }
  return fd;
}

template <typename Function>
int accept_forever(uint16_t port, Function serve_one) {
  int listener = listen_on(port);
  if (listener < 0) return 1;
  for (;;) {
    int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::thread([fd, serve_one] {
      Connection connection(fd);
      serve_one(connection);
    }).detach();
  }
}

// RFC 6455 section 4.2.2.
std::string accept_key(const std::string& key) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  unsigned char text[4 * SHA_DIGEST_LENGTH];
  std::string salted = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  SHA1(reinterpret_cast<const unsigned char*>(salted.data()), salted.size(), digest);
  int length = EVP_EncodeBlock(text, digest, sizeof digest);
  return std::string(reinterpret_cast<char*>(text), static_cast<size_t>(length));
}

// Masked messages of up to 65,535 bytes, back as they were without the mask.
void echo(Connection& connection, std::string& buffered) {
  for (std::string payload;; payload.clear()) {
    if (!connection.read_at_least(buffered, 2)) return;
    size_t size = static_cast<unsigned char>(buffered[1]) & 0x7f;
    size_t head = size == 126 ? 8 : 6;
    if (!connection.read_at_least(buffered, head)) return;
    if (size == 126)
      size =
          static_cast<size_t>(static_cast<unsigned char>(buffered[2]) << 8 | static_cast<unsigned char>(buffered[3]));
    if (!connection.read_at_least(buffered, head + size)) return;
    for (size_t i = 0; i < size; ++i) payload += static_cast<char>(buffered[head + i] ^ buffered[head - 4 + i % 4]);
    std::string reply = buffered.substr(0, head - 4);
    reply[1] = static_cast<char>(reply[1] & 0x7f);
    buffered.erase(0, head + size);
    if (!connection.write(reply + payload)) return;
  }
}

// Answers with how many bytes came and their sum, always as long.
bool count_body(Connection& connection, std::string& buffered, size_t size) {
  uint64_t sum = 0;
  size_t seen = 0;
  for (;;) {
    size_t now = std::min(size - seen, buffered.size());
    for (size_t i = 0; i < now; ++i) sum += static_cast<unsigned char>(buffered[i]);
    seen += now;
    buffered.erase(0, now);
    if (seen == size) break;
    if (!connection.read_some(buffered)) return false;
  }
  char reply[160];
  int length = std::snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n%015zu %015llu\n", size,
                             static_cast<unsigned long long>(sum));
  return connection.write({reply, static_cast<size_t>(length)});
}

void serve_http(Connection& connection) {
  std::string head, buffered;
  while (connection.read_head(head, buffered)) {
    if (std::string key = text_field(head, "sec-websocket-key:"); !key.empty()) {
      if (connection.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                           "Sec-WebSocket-Accept: " +
                           accept_key(key) + "\r\n\r\n"))
        echo(connection, buffered);
      return;
    }
    if (!count_body(connection, buffered, number_field(head, "content-length:"))) return;
  }
}

}  // namespace

int serve(uint16_t port) { return accept_forever(port, serve_http); }

int serve_records(uint16_t port, const char* chain, const char* key, const std::string& body) {
  SslContext context(SSL_CTX_new(TLS_server_method()));
  if (SSL_CTX_use_certificate_chain_file(context.get(), chain) != 1 ||
      SSL_CTX_use_PrivateKey_file(context.get(), key, SSL_FILETYPE_PEM) != 1)
    return 1;
  return accept_forever(port, [&](Connection& connection) {
    std::string head, buffered;
    if (!connection.start_server_tls(context.get())) return;
    while (connection.read_head(head, buffered)) {
      if (!connection.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n")) return;
      int written = 0;
      for (size_t at = 0; at < body.size(); at += kRecord) {
        if (!connection.write(std::string_view(body).substr(at, kRecord))) return;
        if (++written % kRecordsBeforePause == 0) std::this_thread::sleep_for(kPause);
      }
    }
  });
}

}  // namespace bench
