#pragma once

namespace sallyport {

// OpenSSL takes its memory from base/block_cache from then on. Before anything of OpenSSL's has been called; once.
void keep_tls_memory() noexcept;

}  // namespace sallyport
