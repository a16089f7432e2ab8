// The values of a service's keys, each read into a draft of the service. Which key means something where is told by
// kinds.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/listeners.h"
#include "config/model.h"
#include "config/node.h"
#include "config/reader.h"

namespace sallyport::config {

// What a service is, as far as its keys go: its mode, and `protocol: tcp` beside edge and reencrypt.
enum ServiceKind : unsigned {
  kPassthrough = 1,
  kEdge = 2,
  kReencrypt = 4,
  kHttp = 8,
  kRedirect = 16,
  kSsh = 32,
  kTcp = 64,
  kEdgeTcp = 128,
  kReencryptTcp = 256,
  kAll = 511,
};
constexpr unsigned kTerminated = kEdge | kReencrypt | kEdgeTcp | kReencryptTcp;
constexpr unsigned kRequests = kEdge | kReencrypt | kHttp | kRedirect;  // HTTP is read
constexpr unsigned kForwarded = kAll & ~kRedirect;                      // there are servers

unsigned kind_of(Mode mode, bool protocol_tcp) noexcept;
// "mode ssh", "mode edge with protocol: tcp".
std::string kind_text(unsigned kind);

struct Draft {
  Service service;
  unsigned kind = kAll;
  // Whose keys are being read. What means nothing in the service's mode is a fault among its own alone.
  enum class From : uint8_t { defaults, preset, own };
  From from = From::own;
  bool inherited() const noexcept { return from != From::own; }
  struct Listen {
    std::string name;  // empty: a bind
    Bind bind;
    Position at;
    bool inherited = false;
  };
  std::vector<Listen> listen;
  bool listen_written = false;
  bool servers_written = false;
  bool to_written = false;
  Position redirect_at;
  Position client_certificates_at;
  Position server_protocol_at;
  // Where the service itself says so; elsewhere they are passed over in checks of a type that has none.
  Position health_user_at;
  Position health_password_at;
  bool health_type_of_preset = false;
};

class ServiceParts {
 public:
  ServiceParts(Reader& reader, const std::string& certificates, Draft& draft)
      : reader_(reader), certificates_(certificates), draft_(draft) {}

  using Read = void (ServiceParts::*)(const YamlNode& value, const YamlNode& key);
  struct Key {
    std::string_view name;
    unsigned kinds;
    Read read;
    bool in_defaults = true;
  };
  static std::span<const Key> keys() noexcept;

 private:
  // parse_service.cc reads these before all others.
  void known(const YamlNode&, const YamlNode&) {}

  // service_routing.cc
  void listen(const YamlNode& value, const YamlNode& key);
  void hosts(const YamlNode& value, const YamlNode& key);
  void paths(const YamlNode& value, const YamlNode& key);
  void plain_http(const YamlNode& value, const YamlNode& key);
  void redirect(const YamlNode& value, const YamlNode& key);
  void headers(const YamlNode& value, const YamlNode& key);
  void access(const YamlNode& value, const YamlNode& key);
  void certificate(const YamlNode& value, const YamlNode& key);
  void client_certificates(const YamlNode& value, const YamlNode& key);

  // service_servers.cc
  void servers(const YamlNode& value, const YamlNode& key);
  void server_tls(const YamlNode& value, const YamlNode& key);
  void balance(const YamlNode& value, const YamlNode& key);
  void retries(const YamlNode& value, const YamlNode& key);
  void retry_on(const YamlNode& value, const YamlNode& key);
  void proxy_protocol(const YamlNode& value, const YamlNode& key);
  void timeouts(const YamlNode& value, const YamlNode& key);
  void health(const YamlNode& value, const YamlNode& key);
  void sticky(const YamlNode& value, const YamlNode& key);
  void queue(const YamlNode& value, const YamlNode& key);
  void passive(const YamlNode& value);
  void server_protocol(const YamlNode& value, const YamlNode& key);
  void slow_start(const YamlNode& value, const YamlNode& key);
  void resolve(const YamlNode& value, const YamlNode& key);
  void transparent(const YamlNode& value, const YamlNode& key);
  void acme_challenge(const YamlNode& value, const YamlNode& key);
  void unsupported(const YamlNode& value, const YamlNode& key);

  void one_server(const YamlNode& node);
  void header_edits(const YamlNode& node, std::string_view what, HeaderEdits& edits);
  void header_values(const YamlNode& node, std::string_view what,
                     std::vector<std::pair<std::string, std::string>>& out);
  void certificate_file(const YamlNode& node, std::string& out);
  // False, and a fault among the service's own keys, when a part of a key means nothing in this kind.
  bool means_something(unsigned kinds, const YamlNode& key, std::string_view parent);

  Reader& reader_;
  const std::string& certificates_;
  Draft& draft_;
};

}  // namespace sallyport::config
