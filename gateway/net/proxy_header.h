// The PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt): parsing what a trusted peer sends, and
// writing what a server wants. Pure functions over bytes.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/bytes.h"

namespace sallyport {

struct ProxyHeader {
  bool local = false;  // v2 LOCAL, v1 UNKNOWN, v2 AF_UNSPEC/AF_UNIX: the socket's own peer counts
  Address source;
  Address destination;
  std::string alpn;  // v2 TLVs, when present
  std::string authority;
  std::string unique_id;
  bool ssl = false;  // PP2_TYPE_SSL with PP2_CLIENT_SSL set
};

enum class ProxyParse : uint8_t { done, need_more, malformed };

// `consumed` is the header's length when done. A v1 line has at most 107 bytes; a v2 header at most 16 + 4096 (ours).
// Strict: "999.1.1.1", leading zeros, mixed families, a wrong CRC32C are malformed. `why` gets static text.
ProxyParse parse_proxy_header(Bytes seen, ProxyHeader& out, size_t& consumed, const char** why = nullptr);

struct ProxyTlvs {
  std::string_view alpn;  // empty: none
  std::string_view authority;
  bool ssl = false;              // the client spoke TLS to us
  std::string_view tls_version;  // "TLSv1.3", with ssl
};

// Appends a header for a connection from source to destination. Families that differ, or are not IP, give UNKNOWN /
// AF_UNSPEC.
void append_proxy_v1(std::string& out, const Address& source, const Address& destination);
void append_proxy_v2(std::string& out, const Address& source, const Address& destination, const ProxyTlvs& tlvs = {});
void append_proxy_v2_local(std::string& out);

}  // namespace sallyport
