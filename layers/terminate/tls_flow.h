// The TLS handshake with a client. When it is done, HTTP takes over, or a relay for `protocol: tcp`.
#pragma once
#include <string>

#include "layers/layer.h"
#include "layers/rules.h"

namespace sallyport {

class TlsFlow final : public Flow, private Deadline::Owner {
 public:
  // host: what serves the name; null when only a certificate matched.
  TlsFlow(Client& client, const ClientHello& hello, SSL_CTX& context, const TlsHost* host);

  void start() override;
  void drain() override {}  // a handshake is short, and its deadline shorter than any drain time
  void abort(End why) override { fail(HandshakeFailure::drain, why, {}); }
  void describe(SessionInfo& info) const override;
  void on_io() override { advance(); }

 private:
  void advance();
  void on_deadline(Deadline& which) override;
  void fail(HandshakeFailure kind, End end, std::string_view reason);

  ClientHello hello_;
  SSL_CTX* context_;
  const TlsHost* host_;
  Deadline deadline_;
};

}  // namespace sallyport
