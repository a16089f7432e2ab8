// What a user wrote, typed and complete: every value is its default where the files say nothing. Plain data; nothing
// here has been opened, bound, resolved or verified yet. The page docs/configuration.md explains every key to users.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "config/log_format.h"

namespace sallyport::config {

using Milliseconds = std::chrono::milliseconds;

// Where a value stands: file relative to the configuration folder, line and column from 1 (0: the whole file).
struct Position {
  std::string file;
  int line = 0;
  int column = 0;
};

enum class Severity : uint8_t { error, warning };

// Something to tell the user. text() gives the lines config.md shows: place, severity, message, excerpt and caret.
struct Fault {
  Severity severity = Severity::error;
  Position at;
  std::string message;
  std::string excerpt;  // the source line, without its line end; empty if there is none
  std::string service;  // the service it concerns; empty for the gateway
  std::string text() const;
};

enum class Mode : uint8_t { passthrough, edge, reencrypt, http, redirect, ssh, tcp };
const char* name_of(Mode mode) noexcept;

// One socket address to listen on. ":443" is every IPv4 and IPv6 address: one Bind with `any` set and only the port in
// address.
struct Bind {
  Address address;
  bool any = false;
  std::string text;  // normalised spelling: equal binds have equal text
  Position at;
};

// HTTP/2 with the clients of a listener: whether, and what one of their connections may cost.
struct Http2 {
  bool enabled = true;
  uint32_t max_concurrent_streams = 100;
  uint32_t max_header_list = 32 * 1024;  // bytes, as RFC 9113 section 6.5.2 counts them
  uint32_t max_headers = 200;
  uint32_t stream_window = 64 * 1024;        // bytes of a request body in flight
  uint32_t connection_window = 1024 * 1024;  // of all bodies of a connection
  uint32_t max_resets = 500;                 // a burst of them; a tenth of it comes back each second
  uint32_t max_control_frames = 2000;        // likewise
  friend bool operator==(const Http2&, const Http2&) = default;
};

struct Listener {
  std::string name;  // "http", "https", "ssh", the user's, or the bind text of an inline one
  std::vector<Bind> binds;
  uint16_t public_port = 0;  // 0: the port bound
  std::vector<Network> accept_proxy;
  uint32_t max_connections = 0;  // 0: the gateway's
  Http2 http2;
  bool off = false;
  bool inline_bind = false;
  Position at;
};

struct Server {
  std::string text;              // as written: for logs
  std::string host;              // a DNS name, or an IP literal; empty for unix
  uint16_t port = 0;             // 0: the listener's (ssh and tcp only)
  std::string unix_path;         // absolute
  std::string name;              // default: text
  uint32_t weight = 1;           // 0-256; 0: no new connections
  bool backup = false;           // only when no other is up
  uint32_t max_connections = 0;  // 0: no limit
  Position at;
};

enum class Verify : uint8_t { required, optional, none };
enum class HttpProtocol : uint8_t { auto_, http1, h2 };

struct ServerTls {
  bool enabled = false;  // reencrypt, or the key was written
  Verify verify = Verify::required;
  std::string ca;    // path made absolute (certificates folder or configuration folder); empty: the system's store
  std::string name;  // SNI and name to verify; empty: derived
  std::string client_certificate;  // absolute path; empty: none
  HttpProtocol protocol = HttpProtocol::auto_;
  Position at;
  friend bool operator==(const ServerTls& a, const ServerTls& b) {
    return a.enabled == b.enabled && a.verify == b.verify && a.ca == b.ca && a.name == b.name &&
           a.client_certificate == b.client_certificate && a.protocol == b.protocol;
  }
};

enum class Balance : uint8_t { round_robin, least_connections, source_hash, uri_hash, random };

// How a server is asked whether it can be used. Times are at least 100 ms.
struct Health {
  // automatic: tcp where there are several servers, off for one. Only in what `defaults` and files say; a complete
  // Service has one of the others.
  enum class Type : uint8_t { automatic, off, tcp, tls, http, https, ssh, smtp, mysql, postgres, redis };
  Type type = Type::automatic;
  Milliseconds interval{2'000};
  Milliseconds timeout{5'000};
  uint32_t fall = 3;  // failures in a row that take a server down
  uint32_t rise = 2;  // successes in a row that bring it back
  uint16_t port = 0;  // 0: the server's
  std::string method = "GET";
  std::string path = "/";
  std::string host;                                   // Host and SNI; empty: the first exact host of the service
  std::vector<std::pair<uint16_t, uint16_t>> expect;  // status ranges; empty: 200-399
  std::string body;                                   // text that the answer must hold; empty: any
  std::optional<Verify> verify;                       // unset: as server_tls for reencrypt, else none
  std::string user;
  std::string password;
  uint32_t passive_failures = 0;  // 0: traffic takes no server out
  Milliseconds passive_window{30'000};
  bool close_on_down = false;  // sessions of a server that goes down are closed
  Position at;
  bool checks() const noexcept { return type != Type::off && type != Type::automatic; }
};
const char* name_of(Health::Type type) noexcept;

// A client comes back to the server it had before.
struct Sticky {
  enum class By : uint8_t { nothing, source, cookie };
  By by = By::nothing;
  Milliseconds expire{30 * 60'000};  // after the last use
  uint32_t size = 10'000;            // clients; the one that was not seen for longest makes room
  uint32_t ipv6_prefix = 128;        // how much of an IPv6 address is the client
  std::string cookie = "SRV";
};

// Those who wait for a server that has its max_connections.
struct Queue {
  uint32_t size = 100;
  Milliseconds timeout{30'000};
};

// After what a request or a connection is tried on another server.
struct RetryOn {
  bool connect = true;
  bool reset = false;
  std::vector<uint16_t> statuses;
};

// What a DNS name of a server stands for: one server, a server each address, or what its SRV records say.
enum class Resolve : uint8_t { first, all, srv };
enum class PlainHttp : uint8_t { redirect, serve, refuse };
enum class ProxyProtocol : uint8_t { off, v1, v2 };

// Idle times; zero: never.
struct Timeouts {
  Milliseconds connect{5'000};
  Milliseconds handshake{10'000};
  Milliseconds request{10'000};
  Milliseconds keep_alive{60'000};
  Milliseconds client{60'000};
  Milliseconds server{60'000};
  Milliseconds tunnel{3'600'000};
  friend bool operator==(const Timeouts&, const Timeouts&) = default;
};

struct Redirect {
  std::string to;  // absolute URL
  int status = 308;
  bool keep_path = true;
};

struct Access {
  std::vector<Network> allow;
  std::vector<Network> deny;
  bool empty() const noexcept { return allow.empty() && deny.empty(); }
};

struct HeaderEdits {
  std::vector<std::pair<std::string, std::string>> set;
  std::vector<std::pair<std::string, std::string>> add;
  std::vector<std::string> remove;
  bool empty() const noexcept { return set.empty() && add.empty() && remove.empty(); }
};

struct ClientCertificates {
  std::string ca;  // absolute path; empty: none asked for
  Verify verify = Verify::required;
  std::string crl;  // absolute path or empty
  bool enabled() const noexcept { return !ca.empty(); }
  friend bool operator==(const ClientCertificates&, const ClientCertificates&) = default;
};

struct Service {
  std::string name;
  Position at;
  Mode mode = Mode::http;
  bool protocol_tcp = false;           // edge, reencrypt with `protocol: tcp`
  std::vector<std::string> listeners;  // names in Config::listeners
  // Lower case, no trailing dot, IPv6 in brackets; "*" and "*.example.tld" too. {"*"} by default.
  std::vector<std::string> hosts;
  std::vector<Position> host_positions;  // one per host; the service's own when hosts was left out
  std::vector<std::string> paths;        // each begins with "/"; {"/"} by default
  std::vector<Server> servers;
  PlainHttp plain_http = PlainHttp::redirect;
  Redirect redirect;
  ServerTls server_tls;
  HttpProtocol server_protocol = HttpProtocol::http1;  // cleartext: http1 or h2; with server_tls that one's counts
  Balance balance = Balance::round_robin;
  Milliseconds slow_start{0};
  Sticky sticky;
  Health health;
  Queue queue;
  int retries = 3;
  RetryOn retry_on;
  Resolve resolve = Resolve::first;
  ProxyProtocol proxy_protocol = ProxyProtocol::off;
  bool transparent = false;
  std::string preset;  // its name; its values are in the rest
  Timeouts timeouts;
  HeaderEdits request_headers;
  HeaderEdits response_headers;
  Access access;
  std::string certificate;  // absolute path or empty
  ClientCertificates client_certificates;
  std::string fingerprint;  // equal for equal effective settings: what a reload compares
};

struct CertificateSettings {
  std::string directory = "certs";  // absolute after loading
  std::string default_certificate;  // absolute path or empty
  std::string min_version = "1.2";
  std::string ciphers;       // OpenSSL cipher list for TLS 1.2; empty: ours
  std::string ciphersuites;  // TLS 1.3
  std::string groups;
  Position at;
  Position default_at;
};

// custom: a pattern of the user's; clf has one too.
enum class LogFormat : uint8_t { text, json, clf, haproxy, custom };
enum class LogLevel : uint8_t { error, warn, info, debug };

struct LogTarget {
  enum class Kind : uint8_t { stderr_, journald, syslog_udp, syslog_tcp, syslog_unix, file };
  Kind kind = Kind::stderr_;
  std::string text = "stderr";  // as written
  std::string path;             // absolute: of the file, or of syslog's socket
  std::string host;             // of syslog: a name or an address
  uint16_t port = 0;
  friend bool operator==(const LogTarget&, const LogTarget&) = default;
};

struct Logs {
  LogFormat format = LogFormat::text;
  LogPattern pattern;  // of clf and custom
  LogTarget target;
  bool access = true;
  LogLevel level = LogLevel::info;
};

struct Admin {
  std::string bind;    // "127.0.0.1:8404"; empty: off
  std::string socket;  // unix path; empty: off
  std::string token;
  std::vector<std::string> hosts;  // names it answers to over HTTP, besides addresses and localhost; normalized
  Position at;
};

// Who is told when something changes, and of what.
struct Alert {
  enum class Kind : uint8_t { webhook, email, exec };
  enum class Format : uint8_t { json, slack, discord, ntfy, gotify };
  enum Event : unsigned { kServer = 1, kService = 2, kCertificate = 4, kReload = 8, kEverything = 15 };
  Kind kind = Kind::webhook;
  std::string name;  // for logs; never what may be a secret (the path of a URL)
  unsigned on = kEverything;
  uint32_t limit = 10;  // messages within limit_time; what changes meanwhile is told by the next
  Milliseconds limit_time{3'600'000};
  Milliseconds timeout{10'000};  // of one try
  std::string ca;                // webhook, email: absolute path; empty: the system's store
  // webhook
  std::string url;
  std::string method = "POST";
  Format format = Format::json;
  std::vector<std::pair<std::string, std::string>> headers;
  // email
  std::vector<std::string> to;
  std::string from;
  std::string smtp;  // smtp:// or smtps://, host and port
  bool starttls = true;
  std::string user, password;
  // exec
  std::vector<std::string> command;
  Position at;
  friend bool operator==(const Alert& a, const Alert& b) {
    return a.kind == b.kind && a.name == b.name && a.on == b.on && a.limit == b.limit && a.limit_time == b.limit_time &&
           a.timeout == b.timeout && a.ca == b.ca && a.url == b.url && a.method == b.method && a.format == b.format &&
           a.headers == b.headers && a.to == b.to && a.from == b.from && a.smtp == b.smtp && a.starttls == b.starttls &&
           a.user == b.user && a.password == b.password && a.command == b.command;
  }
};
const char* name_of(Alert::Kind kind) noexcept;

struct Gateway {
  std::string services_directory = "conf.d";  // absolute after loading
  std::string state_directory = "/var/lib/sallyport";
  CertificateSettings certificates;
  Logs logs;
  Admin admin;
  uint32_t workers = 0;          // 0: auto
  uint32_t max_connections = 0;  // 0: auto
  Milliseconds drain_timeout{30'000};
  Timeouts default_timeouts;  // defaults.timeouts: what counts until a connection's service is known
  std::vector<Network> trusted_proxies;
  std::vector<Alert> alerts;
};

struct Config {
  std::filesystem::path directory;  // of gateway.yaml, absolute
  Gateway gateway;
  std::vector<Listener> listeners;    // built-in ones first; inline ones behind
  std::vector<Service> services;      // without fault, in file order
  std::vector<Fault> faults;          // errors and warnings, in file order
  std::vector<std::string> left_out;  // names of services with a fault
  std::vector<Service> kept;          // on a reload: the last good version of those left out that were serving
  // gateway.yaml has a fault: refuse the start; on a reload everything else is as the last good one says.
  bool gateway_faulty = false;
  std::string gateway_text;  // the gateway.yaml that this was read with: the last good one
  bool has_errors() const noexcept;
  const Listener* listener(const std::string& name) const noexcept;
};

}  // namespace sallyport::config
