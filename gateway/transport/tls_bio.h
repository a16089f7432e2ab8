// The BIO between OpenSSL and a Transport: reads take what was read early, then the worker's ciphertext buffer; writes
// queue.
#pragma once
#include <openssl/types.h>

namespace sallyport {

class Transport;
// A new BIO over the transport, which must outlive it; one reference, owned by the caller (SSL_set_bio takes it). Null:
// out of memory.
BIO* make_transport_bio(Transport& transport);

}  // namespace sallyport
