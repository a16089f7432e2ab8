#include "connection.h"
#include "load.h"

namespace bench {
namespace {

// Tickets arrive after the handshake (RFC 8446 section 4.6.1), so OpenSSL hands them out by callback, during reads.
int keep_session(SSL* ssl, SSL_SESSION* session) {
  static_cast<SslSession*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->reset(session);
  return 1;
}

bool one_request(const LoadOptions& options, const std::string& request, SSL_CTX* context, SslSession& session,
                 Tally& tally) {
  std::string buffered;
  Connection connection(Connection::dial(options.port));
  if (!connection.start_client_tls(context, options.host, options.resume ? session.get() : nullptr)) return false;
  tally.resumed += connection.resumed();
  size_t got = connection.fetch(request, options.body, buffered);
  if (got == 0) return false;
  // Without it OpenSSL takes the session for one that ended badly and does not resume it.
  connection.close_tls();
  tally.bytes += got;
  return true;
}

}  // namespace

int handshakes(const LoadOptions& all) {
  return run_threads(all, [](const LoadOptions& options, Clock::time_point end, Tally& tally) {
    SslSession session;
    SslContext context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(context.get(), &session);
    SSL_CTX_sess_set_new_cb(context.get(), keep_session);
    std::string request =
        "GET " + options.path + " HTTP/1.1\r\nHost: " + options.host + "\r\nConnection: close\r\n\r\n";
    for (auto start = Clock::now(); start < end;) {
      bool good = one_request(options, request, context.get(), session, tally);
      auto now = Clock::now();
      ++(good ? tally.requests : tally.errors);
      tally.took(start, now);
      start = now;
    }
  });
}

}  // namespace bench
