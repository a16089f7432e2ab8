// The values a user writes as text. Pure functions; an error's detail is the message for the user.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "config/model.h"

namespace sallyport::config {

// An Error that is only its message.
Error wrong(std::string message);

// "500ms", "5s", "10m", "1h", "30d"; "0" is zero. At most ten years.
Result<Milliseconds> parse_duration(std::string_view text);

// Bytes: "16KiB", "1MiB", "1GiB"; less than 4 GiB.
Result<uint32_t> parse_size(std::string_view text);
// As parse_size() takes it, in the largest unit that leaves no remainder.
std::string size_text(uint32_t bytes);

// ":443", "10.0.0.6:80", "[::1]:80", "unix:/path". Port 0 lets the kernel choose.
Result<Bind> parse_bind(std::string_view text);

// "nas.lan:443", "10.0.0.14:443", "[fd00::6]:443", "unix:/path". Without a port: port is 0, for the caller to judge.
Result<Server> parse_server(std::string_view text);

// A host as routing compares it: "cloud.example.tld", "*.example.tld", "*", "192.0.2.1", "[2001:db8::1]".
Result<std::string> parse_host(std::string_view text);

// A path prefix: begins with "/", no trailing "/" but in "/" itself; "%41" is "A".
Result<std::string> parse_path(std::string_view text);

// What a redirect leads to: an absolute http or https URL.
Result<std::string> parse_redirect_target(std::string_view text);

// The host of a redirect's target, in lower case and without port.
std::string host_of_url(std::string_view url);

Result<Network> parse_network(std::string_view text);

// RFC 9110 section 5: a field's name is a token, its value holds no control but a tab, and no space around it. Names
// that frame a message or belong to one connection are the gateway's own.
Result<std::string> parse_header_name(std::string_view text);
bool is_header_value(std::string_view text) noexcept;

// 1-64 letters, digits, ".", "_" and "-".
bool is_plain_name(std::string_view text) noexcept;

}  // namespace sallyport::config
