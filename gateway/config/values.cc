#include "config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/format.h"
#include "base/host.h"
#include "base/text.h"
#include "config/source.h"

namespace sallyport::config {
namespace {

bool is_alnum(char c) noexcept { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z'); }

// The byte that two hexadecimal digits at the beginning stand for.
std::optional<char> hex_byte(std::string_view text) noexcept {
  unsigned value = 0;
  if (text.size() < 2) return std::nullopt;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + 2, value, 16);
  if (problem != std::errc() || end != text.data() + 2) return std::nullopt;
  return static_cast<char>(value);
}

std::optional<uint16_t> parse_port(std::string_view text, uint64_t least) noexcept {
  const auto number = parse_number(text);
  if (text.size() > 5 || !number || *number < least || *number > 65535) return std::nullopt;
  return static_cast<uint16_t>(*number);
}

struct SizeUnit {
  std::string_view name;
  uint32_t bytes;
};
constexpr std::array<SizeUnit, 3> kSizeUnits = {{{"GiB", 1U << 30}, {"MiB", 1U << 20}, {"KiB", 1U << 10}}};

std::string scheme_hint(std::string_view text) {
  return text.find("://") == std::string_view::npos ? "" : ", without \"http://\" or \"https://\"";
}

}  // namespace

Error wrong(std::string message) { return Error{Kind::config, Side::internal, Retry::no, 0, "", std::move(message)}; }

Result<Milliseconds> parse_duration(std::string_view text) {
  if (text == "0") return Milliseconds(0);
  struct Unit {
    std::string_view name;
    uint64_t milliseconds;
  };
  static constexpr std::array<Unit, 5> kUnits = {
      {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
  constexpr uint64_t kMost = 10ULL * 366 * 86'400'000;
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number(text.substr(0, digits));
  if (number && digits == text.size())
    return wrong(format("{} has no unit; write \"{}s\" for seconds", quote(text), *number));
  for (const Unit& unit : kUnits) {
    if (!number || text.substr(digits) != unit.name) continue;
    if (*number > kMost / unit.milliseconds) return wrong(format("{} is more than ten years", quote(text)));
    return Milliseconds(*number * unit.milliseconds);
  }
  return wrong(format("expected a duration such as 500ms, 5s, 10m, 1h or 30d, found {}", quote(text)));
}

Result<uint32_t> parse_size(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_number(text.substr(0, digits));
  if (number && digits == text.size())
    return wrong(format("{} has no unit; 64KiB is 65536 bytes, 1MiB is 1024KiB", quote(text)));
  for (const SizeUnit& unit : kSizeUnits) {
    if (!number || text.substr(digits) != unit.name) continue;
    if (*number > UINT32_MAX / unit.bytes) return wrong(format("{} is 4 GiB or more", quote(text)));
    return static_cast<uint32_t>(*number * unit.bytes);
  }
  return wrong(format("expected a size such as 16KiB, 1MiB or 1GiB, found {}", quote(text)));
}

std::string size_text(uint32_t bytes) {
  for (const SizeUnit& unit : kSizeUnits)
    if (bytes >= unit.bytes && bytes % unit.bytes == 0) return format("{}{}", bytes / unit.bytes, unit.name);
  return format("{} bytes", bytes);
}

Result<Bind> parse_bind(std::string_view text) {
  Bind bind;
  if (text.starts_with(':')) {
    const auto port = parse_port(text.substr(1), 0);
    if (!port) return wrong(format("expected a port from 0 to 65535 after the \":\", found {}", quote(text)));
    bind.any = true;
    bind.address = Address::any_v6(*port);
    bind.text = format(":{}", *port);
    return bind;
  }
  if (text.starts_with("unix:") && !text.starts_with("unix:/"))
    return wrong(format("the path of a unix socket begins with \"/\", found {}", quote(text)));
  const auto address = Address::parse(text);
  if (!address) {
    if (parse_port(text, 0))
      return wrong(format("expected an address to listen on, such as \":{0}\", found {1}", text, quote(text)));
    return wrong(
        format("expected an address to listen on, such as \":443\", \"10.0.0.6:443\", \"[::1]:443\" or "
               "\"unix:/path\", found {}",
               quote(text)));
  }
  bind.address = *address;
  bind.text = address->text();
  return bind;
}

Result<Server> parse_server(std::string_view text) {
  Server server;
  server.text = std::string(text);
  const auto bad = [&] {
    return wrong(format("expected a server such as nas.lan:443, 10.0.0.14:443, [fd00::6]:443 or unix:/path{}, found {}",
                        scheme_hint(text), quote(text)));
  };
  if (text.starts_with("unix:")) {
    server.unix_path = std::string(text.substr(5));
    if (!server.unix_path.starts_with('/'))
      return wrong(format("the path of a unix socket begins with \"/\", found {}", quote(text)));
    if (auto address = Address::parse(text); !address)
      return wrong(format("{} is too long for a unix socket", quote(text)));
    return server;
  }
  if (text.find("://") != std::string_view::npos) return bad();
  std::string_view host = text;
  std::string_view port;
  bool with_port = false;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return bad();
    host = text.substr(1, end - 1);
    if (!is_ip_literal(host) || host.find(':') == std::string_view::npos) return bad();
    if (end + 1 < text.size()) {
      if (text[end + 1] != ':') return bad();
      with_port = true;
      port = text.substr(end + 2);
    }
  } else if (!is_ip_literal(text)) {
    if (const size_t colon = text.rfind(':'); colon != std::string_view::npos) {
      host = text.substr(0, colon);
      with_port = true;
      port = text.substr(colon + 1);
      if (is_ip_literal(host) && host.find(':') != std::string_view::npos)
        return wrong(format("an IPv6 address with a port is written [{}]:{}", host, port));
    }
  }
  if (with_port) {
    const auto number = parse_port(port, 1);
    if (!number)
      return host.empty() || host.find_first_of(":/") != std::string_view::npos
                 ? bad()
                 : wrong(format("expected a port from 1 to 65535, found {}", quote(port)));
    server.port = *number;
  }
  if (auto ip = Address::parse_ip(host, 0); ip) {
    server.host = ip->ip_text();
    return server;
  }
  if (!is_host_name(host)) return bad();
  server.host = normalized_host(host);
  return server;
}

Result<std::string> parse_host(std::string_view text) {
  if (text == "*") return std::string(text);
  if (text.find("://") != std::string_view::npos || text.find('/') != std::string_view::npos)
    return wrong(format("a host is a name alone, without scheme or path, found {}", quote(text)));
  std::string_view bare = text;
  if (bare.starts_with('[') && bare.ends_with(']')) bare = bare.substr(1, bare.size() - 2);
  if (is_ip_literal(bare)) {
    const auto ip = Address::parse_ip(bare, 0);
    if (ip) return ip->family() == AF_INET6 ? "[" + ip->ip_text() + "]" : ip->ip_text();
  }
  const bool wildcard = text.starts_with("*.");
  const std::string_view name = wildcard ? text.substr(2) : text;
  if (is_host_name(name) && !is_ip_literal(name)) return (wildcard ? "*." : "") + normalized_host(name);
  if (name.find('*') != std::string_view::npos)
    return wrong(
        format("\"*\" stands for one whole label at the beginning, such as \"*.example.tld\", found {}", quote(text)));
  if (const size_t colon = name.rfind(':'); colon != std::string_view::npos && is_host_name(name.substr(0, colon)))
    return wrong(format("a host is a name without a port, found {}", quote(text)));
  if (std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
    return wrong(format("expected a host in its ASCII form (\"xn--…\"), found {}", quote(text)));
  return wrong(format("expected a host such as cloud.example.tld, \"*.example.tld\" or \"*\", found {}", quote(text)));
}

Result<std::string> parse_path(std::string_view text) {
  if (!text.starts_with('/')) return wrong(format("a path begins with \"/\", found {}", quote(text)));
  constexpr std::string_view kOther = "-._~!$&'()*+,;=:@/";
  std::string path;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = text[i] == '%' ? hex_byte(text.substr(i + 1)) : std::nullopt;
    if (byte && (is_alnum(*byte) || std::string_view("-._~").find(*byte) != std::string_view::npos)) {
      path += *byte;  // routing compares these decoded (RFC 3986 section 6.2.2.2)
      i += 2;
    } else if (byte) {
      path += format("%{:02X}", static_cast<unsigned char>(*byte));  // in one spelling (section 6.2.2.1)
      i += 2;
    } else if (is_alnum(text[i]) || kOther.find(text[i]) != std::string_view::npos) {
      path += text[i];
    } else {
      return wrong(format("a path holds letters, digits, {} and %XX, found {}", "-._~!$&'()*+,;=:@", quote(text)));
    }
  }
  for (std::string_view rest = std::string_view(path).substr(1);;) {
    const size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    if (segment == "." || segment == ".." || (segment.empty() && slash != std::string_view::npos))
      return wrong(format("a path has no empty, \".\" or \"..\" part, found {}", quote(text)));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::string host_of_url(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return {};
  url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?#"));
  const size_t bracket = url.find(']');
  if (url.starts_with('[') && bracket != std::string_view::npos) return to_lower(url.substr(0, bracket + 1));
  return normalized_host(url.substr(0, url.rfind(':')));
}

Result<std::string> parse_redirect_target(std::string_view text) {
  const std::string small = to_lower(text.substr(0, 8));
  const size_t scheme = small.starts_with("http://") ? 7 : small == "https://" ? 8 : 0;
  const auto bad = [&] {
    return wrong(format("expected an absolute URL such as https://www.example.tld, found {}", quote(text)));
  };
  if (scheme == 0) return bad();
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7F || std::string_view("\"<>\\^`{|}").find(c) != std::string_view::npos) return bad();
  }
  const std::string_view rest = text.substr(scheme);
  std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  std::string_view host = authority;
  std::string_view port;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return bad();
    host = authority.substr(1, end - 1);
    if (!is_ip_literal(host) || host.find(':') == std::string_view::npos) return bad();
    port = authority.substr(end + 1);
  } else {
    const size_t colon = authority.find(':');
    host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon);
    if (!is_host_name(host) && !is_ip_literal(host)) return bad();
  }
  if (!port.empty() && (port.front() != ':' || !parse_port(port.substr(1), 1))) return bad();
  return std::string(text);
}

Result<Network> parse_network(std::string_view text) {
  auto network = Network::parse(text);
  if (network) return network;
  return wrong(format("expected an address or a network such as 10.0.0.0/8 or fd00::/8, found {}", quote(text)));
}

Result<std::string> parse_header_name(std::string_view text) {
  constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
  const bool token = !text.empty() && text.size() <= 256 && std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alnum(c) || kOther.find(c) != std::string_view::npos;
  });
  if (!token) return wrong(format("{} cannot be the name of a header", quote(text)));
  static constexpr std::array<std::string_view, 10> kOwn = {
      "host", "connection", "content-length", "transfer-encoding", "keep-alive", "proxy-connection",
      "te",   "trailer",    "upgrade",        "http2-settings"};
  if (std::find(kOwn.begin(), kOwn.end(), to_lower(text)) != kOwn.end())
    return wrong(format("{} is written by the gateway itself and cannot be edited", quote(text)));
  return std::string(text);
}

bool is_header_value(std::string_view text) noexcept {
  if (text.size() > 8192) return false;
  if (!text.empty() && (text.front() == ' ' || text.front() == '\t' || text.back() == ' ' || text.back() == '\t'))
    return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
  });
}

bool is_plain_name(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
}

}  // namespace sallyport::config
