// What logins to databases prescribe beside what `crypto` has. Digests are bytes, not hexadecimal, where nothing else
// is said.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport {

std::string sha256(std::string_view bytes);
// PBKDF2 (RFC 8018 section 5.2) with HMAC-SHA-256, 32 bytes: Hi() of RFC 5802. Takes about 0.3 us an iteration.
std::string pbkdf2_sha256(std::string_view password, std::string_view salt, uint32_t iterations);
// In lower-case hexadecimal.
std::string md5_hex(std::string_view bytes);
// RSA-OAEP with SHA-1 (RFC 8017 section 7.1) for the owner of a PEM public key; nullopt: that is none, or the text is
// too long for it.
std::optional<std::string> rsa_oaep(std::string_view public_key_pem, std::string_view text);
// RFC 4648 section 4. Strict: whole groups, padding, no space, nothing in the last bits; nullopt otherwise.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace sallyport
