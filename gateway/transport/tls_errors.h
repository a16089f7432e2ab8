// OpenSSL's words, made one clear line for a log, and one of a few fixed words for a counter.
#pragma once
#include <openssl/ssl.h>

#include <string>

#include "base/result.h"

namespace sallyport {

// Empties this thread's error queue. Before each call that SSL_get_error() is asked about afterwards: what another
// connection left there would be taken for this one's. A look costs a fraction of ERR_clear_error(), which visits all
// sixteen places, and there is nearly always nothing.
void clear_tls_errors() noexcept;

// Drains this thread's error queue. "certificate verify failed: self-signed certificate"; with the SSL it also says why
// a certificate was not accepted. "" when the queue is empty and nothing failed to verify. No trailing line end; what a
// peer controls is not in it.
std::string tls_error_text(const SSL* ssl = nullptr);

// Which of a bounded set it was; static text, of [a-z_] only. Reads the queue without draining it: call before
// tls_error_text.
const char* tls_failure_reason(const SSL* ssl);
// Every word tls_failure_reason() may answer, ended by nullptr.
extern const char* const kTlsFailureReasons[];

// Kind::tls with the text above as detail; Kind::cut where the peer closed without close_notify. Drains the queue.
Error tls_error(const SSL* ssl, Side side, Retry retry, const char* what);

}  // namespace sallyport
