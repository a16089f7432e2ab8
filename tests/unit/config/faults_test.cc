// Each thing a user can get wrong, and the one line that says so.
#include "catch.h"
#include "tests/unit/config/memory.h"

namespace sallyport::config {
namespace {

struct Row {
  const char* text;      // the file
  const char* expected;  // the first line of its only fault, without the file's name; "" for none
};

std::string first_lines(const Config& config) {
  std::string out;
  for (const Fault& fault : config.faults) {
    std::string text = fault.text();
    text.resize(std::min(text.find('\n'), text.size()));
    out += (out.empty() ? "" : "\n") + text.substr(fault.at.file.size());
  }
  return out;
}

TEST_CASE("service faults: each is told once, with its place") {
  const Row rows[] = {
      // keys and shapes
      {"mode: edge\nhosts: [a.b]\nservers: [c:80]\n", ""},
      {"mode: edge\nhots: [a.b]\nservers: [c:80]\n", ":2:1: error: unknown key \"hots\"; did you mean \"hosts\"?"},
      {"mode: edge\nzzzzzzzzz: 1\nservers: [c:80]\n", ":2:1: error: unknown key \"zzzzzzzzz\""},
      {"mode: edge\nservers: [c:80]\nmode: edge\n", ":3:1: error: the key \"mode\" is written twice"},
      {"mode: edge\nservers: [c:80]\n? [a]\n: b\n", ":3:3: error: expected a key, found a list"},
      {"mode: edge\nservers: c:80\n", ":2:10: error: expected a list, such as [c:80], found \"c:80\""},
      {"mode: edge\nhosts: a.b\nservers: [c:80]\n", ":2:8: error: expected a list, such as [a.b], found \"a.b\""},
      {"mode: edge\nservers:\nretries: 1\n", ":2:1: error: expected a list, found nothing"},
      {"mode: edge\nservers: []\n", ":2:10: error: \"servers\" is empty: a service needs at least one"},
      {"mode: edge\n", ":1:1: error: \"servers\" is missing: where the traffic goes to"},
      {"servers: [c:80]\n",
       ":1:1: error: \"mode\" is missing; expected passthrough, edge, reencrypt, http, redirect, ssh or tcp"},
      {"mode: [edge]\nservers: [c:80]\n", ":1:7: error: expected a value, found a list"},
      {"mode: !secret edge\nservers: [c:80]\n", ":1:7: error: unknown tag \"!secret\"; only !file is known"},
      {"just words\n", ":1:1: error: expected a mapping for a service, found \"just words\""},
      {"name: a b\nmode: edge\nservers: [c:80]\n",
       ":1:7: error: the name of a service is 1 to 64 letters, digits, \"-\", \"_\" and \".\", found \"a b\""},
      // what means nothing in the mode
      {"mode: ssh\nhosts: [a.b]\nservers: [c]\n",
       ":2:1: error: \"hosts\" means nothing in mode ssh: it is routed by its listener"},
      {"mode: passthrough\npaths: [/x]\nservers: [c:443]\n",
       ":2:1: error: \"paths\" means nothing in mode passthrough: TLS is not decrypted"},
      {"mode: edge\nserver_tls: {}\nservers: [c:80]\n",
       ":2:1: error: \"server_tls\" means nothing in mode edge; mode reencrypt speaks TLS to servers"},
      {"mode: edge\nprotocol: tcp\npaths: [/x]\nservers: [c:80]\n",
       ":3:1: error: \"paths\" means nothing in mode edge with protocol: tcp"},
      {"mode: edge\nprotocol: tcp\nplain_http: serve\nservers: [c:80]\n",
       ":3:13: error: \"plain_http: serve\" means nothing with protocol: tcp"},
      {"mode: redirect\nredirect: { to: \"https://a.b\" }\nservers: [c:80]\n",
       ":3:1: error: \"servers\" means nothing in mode redirect"},
      {"mode: http\nprotocol: tcp\nservers: [c:80]\n", ":2:1: error: \"protocol\" means nothing in mode http"},
      {"mode: ssh\ntimeouts: { request: 5s }\nservers: [c]\n",
       ":2:13: error: \"request\" in \"timeouts\" means nothing in mode ssh"},
      {"mode: tcp\nlisten: \":25\"\nserver_tls: { protocol: http/1.1 }\nservers: [c]\n",
       ":3:15: error: \"protocol\" in \"server_tls\" means nothing in mode tcp"},
      // the protocol with servers
      {"mode: edge\nserver_protocol: h2\nservers: [c:80]\n", ""},
      {"mode: http\nserver_protocol: h2\nservers: [c:80]\n", ""},
      {"mode: http\nserver_tls: { protocol: h2 }\nservers: [c:443]\n", ""},
      {"mode: edge\nserver_protocol: h2c\nservers: [c:80]\n",
       ":2:18: error: unknown server_protocol \"h2c\"; did you mean \"h2\"?"},
      {"mode: edge\nserver_protocol: auto\nservers: [c:80]\n",
       ":2:18: error: unknown server_protocol \"auto\"; expected http/1.1 or h2"},
      {"mode: reencrypt\nserver_tls: { protocol: http/2 }\nservers: [c:443]\n",
       ":2:25: error: unknown protocol \"http/2\"; did you mean \"http/1.1\"?"},
      {"mode: reencrypt\nserver_tls: { protocol: spdy }\nservers: [c:443]\n",
       ":2:25: error: unknown protocol \"spdy\"; expected auto, http/1.1 or h2"},
      {"mode: reencrypt\nserver_protocol: h2\nservers: [c:443]\n",
       ":2:1: error: \"server_protocol\" means nothing in mode reencrypt: it is for servers without TLS; see "
       "\"protocol\" in "
       "\"server_tls\""},
      {"mode: http\nserver_protocol: h2\nserver_tls: {}\nservers: [c:443]\n",
       ":2:1: error: \"server_protocol\" is for servers without TLS; with \"server_tls\" its \"protocol\" counts"},
      {"mode: http\nserver_tls: { protocol: h2 }\nserver_protocol: http/1.1\nservers: [c:443]\n",
       ":3:1: error: \"server_protocol\" is for servers without TLS; with \"server_tls\" its \"protocol\" counts"},
      {"mode: edge\nprotocol: tcp\nserver_protocol: h2\nservers: [c:80]\n",
       ":3:1: error: \"server_protocol\" means nothing in mode edge with protocol: tcp"},
      {"mode: reencrypt\nprotocol: tcp\nserver_tls: { protocol: h2 }\nservers: [c:443]\n",
       ":3:15: error: \"protocol\" in \"server_tls\" means nothing in mode reencrypt with protocol: tcp"},
      {"mode: ssh\nserver_tls: { protocol: h2 }\nservers: [c]\n",
       ":2:15: error: \"protocol\" in \"server_tls\" means nothing in mode ssh"},
      {"mode: tcp\nlisten: \":25\"\nserver_protocol: h2\nservers: [c]\n",
       ":3:1: error: \"server_protocol\" means nothing in mode tcp"},
      {"mode: passthrough\nserver_protocol: h2\nservers: [c:443]\n",
       ":2:1: error: \"server_protocol\" means nothing in mode passthrough"},
      // hosts and paths
      {"mode: edge\nhosts: [A.b, a.B.]\nservers: [c:80]\n", ":2:14: error: the host \"a.b\" is written twice"},
      {"mode: edge\nhosts: []\nservers: [c:80]\n", ":2:8: error: \"hosts\" is empty; leave it out for any host"},
      {"mode: edge\nhosts: [\"*.*.b\"]\nservers: [c:80]\n",
       ":2:9: error: \"*\" stands for one whole label at the beginning, such as \"*.example.tld\", found \"*.*.b\""},
      {"mode: edge\nhosts: [*.a.b]\nservers: [c:80]\n",
       ":2:9: error: not valid YAML: a value that begins with \"*\" must be quoted, such as \"*.example.tld\""},
      {"mode: edge\nhosts: [a.b:443]\nservers: [c:80]\n",
       ":2:9: error: a host is a name without a port, found \"a.b:443\""},
      {"mode: edge\nhosts: [\"https://a.b\"]\nservers: [c:80]\n",
       ":2:9: error: a host is a name alone, without scheme or path, found \"https://a.b\""},
      {"mode: edge\nhosts: [bücher.de]\nservers: [c:80]\n",
       ":2:9: error: expected a host in its ASCII form (\"xn--…\"), found \"bücher.de\""},
      {"mode: edge\npaths: [api]\nservers: [c:80]\n", ":2:9: error: a path begins with \"/\", found \"api\""},
      {"mode: edge\npaths: [/a/../b]\nservers: [c:80]\n",
       ":2:9: error: a path has no empty, \".\" or \"..\" part, found \"/a/../b\""},
      {"mode: edge\npaths: [/a, /a/]\nservers: [c:80]\n", ":2:13: error: the path \"/a\" is written twice"},
      // servers
      {"mode: edge\nresolve: srv\nservers: [_http._tcp.nas.lan]\n", ""},
      {"mode: ssh\nservers: [_ssh._tcp.nas.lan]\nresolve: srv\n", ""},
      {"mode: tcp\nlisten: \":1\"\nresolve: srv\nservers: [db.lan]\n", ""},
      {"mode: edge\nresolve: srv\nservers: [\"nas.lan:80\", 10.0.0.1, \"unix:/x\"]\n",
       ":3:11: error: with resolve: srv a server is a name alone, such as _http._tcp.example.tld: its SRV records say "
       "which hosts and ports, found \"nas.lan:80\"\n"
       ":3:25: error: with resolve: srv a server is a name alone, such as _http._tcp.example.tld: its SRV records say "
       "which hosts and ports, found \"10.0.0.1\"\n"
       ":3:35: error: with resolve: srv a server is a name alone, such as _http._tcp.example.tld: its SRV records say "
       "which hosts and ports, found \"unix:/x\""},
      {"mode: edge\nresolve: all\nservers: [nas]\n", ":3:11: error: the server nas needs a port, such as nas:80"},
      {"mode: edge\nservers: [nas]\n", ":2:11: error: the server nas needs a port, such as nas:80"},
      {"mode: passthrough\nservers: [nas]\n", ":2:11: error: the server nas needs a port, such as nas:443"},
      {"mode: edge\nservers: [\"http://nas:80\"]\n",
       ":2:11: error: expected a server such as nas.lan:443, 10.0.0.14:443, [fd00::6]:443 or unix:/path, without "
       "\"http://\" or "
       "\"https://\", found \"http://nas:80\""},
      {"mode: edge\nservers: [\"fd00:1:2:3:4:5:6:7\", \"fd00::6:443:1:2:3:4:5\"]\n",
       ":2:11: error: the server fd00:1:2:3:4:5:6:7 needs a port, such as [fd00:1:2:3:4:5:6:7]:80\n"
       ":2:33: error: an IPv6 address with a port is written [fd00::6:443:1:2:3:4]:5"},
      {"mode: edge\nservers: [a:80, A:80]\n", ":2:17: error: the server \"A:80\" is written twice"},
      {"mode: edge\nservers: [{address: a:80, name: x}, {address: b:80, name: x}]\n",
       ":2:59: error: two servers have the name \"x\""},
      {"mode: edge\nservers: [{name: x}]\n", ":2:11: error: a server needs \"address\""},
      {"mode: edge\nservers: [{address: a:80, weight: 257}]\n",
       ":2:35: error: expected a number from 0 to 256, found \"257\""},
      {"mode: ssh\nlisten: [ssh, \":2222\"]\nservers: [git.lan]\n",
       ":3:11: error: the server \"git.lan\" needs a port: its listener has more than one address"},
      // listeners
      {"mode: edge\nlisten: htps\nservers: [c:80]\n",
       ":2:9: error: unknown listener \"htps\"; did you mean \"https\"?"},
      {"mode: tcp\nservers: [c:80]\n",
       ":1:1: error: mode tcp needs \"listen\": the name of a listener, or an address such as \":5432\""},
      {"mode: tcp\nlisten: \":99999\"\nservers: [c:80]\n",
       ":2:9: error: expected a port from 0 to 65535 after the \":\", found \":99999\""},
      // values
      {"mode: edge\nservers: [c:80]\ntimeouts: { connect: 5 }\n",
       ":3:22: error: \"5\" has no unit; write \"5s\" for seconds"},
      {"mode: edge\nservers: [c:80]\nretries: many\n", ":3:10: error: expected a number from 0 to 100, found \"many\""},
      {"mode: edge\nservers: [c:80]\naccess: { allow: [10.0.0.0/33] }\n",
       ":3:19: error: expected an address or a network such as 10.0.0.0/8 or fd00::/8, found \"10.0.0.0/33\""},
      {"mode: edge\nservers: [c:80]\naccess:\n  allow:\n", ":4:3: error: expected a list, found nothing"},
      {"mode: redirect\n",
       ":1:1: error: \"redirect\" needs \"to\", such as redirect: { to: \"https://www.example.tld\" }"},
      {"mode: redirect\nredirect: { to: www.a.b }\n",
       ":2:17: error: expected an absolute URL such as https://www.example.tld, found \"www.a.b\""},
      {"mode: redirect\nredirect: { to: \"https://a.b\", status: 200 }\n",
       ":2:40: error: unknown status \"200\"; expected 301, 302, 303, 307 or 308"},
      {"mode: redirect\nredirect: { to: \"https://a.b/?q\" }\n",
       ":2:17: error: a URL with \"?\" or \"#\" needs keep_path: false: the client's path would end up behind it"},
      {"mode: edge\nservers: [c:80]\nheaders: { request: { set: { Host: x } } }\n",
       ":3:30: error: \"Host\" is written by the gateway itself and cannot be edited"},
      {"mode: edge\nservers: [c:80]\nheaders: { response: { add: { X-A: \"a\\r\\nSet-Cookie: b\" } } }\n",
       ":3:36: error: the value of \"X-A\" holds a line end or another control character, begins or ends with a space, "
       "or is "
       "longer than 8 KiB"},
      {"mode: edge\nservers: [c:80]\nheaders: { request: { set: { X-A: 1, x-a: 2 } } }\n",
       ":3:38: error: the header \"x-a\" is written twice"},
      {"mode: edge\nservers: [c:80]\nclient_certificates: { verify: optional }\n",
       ":3:22: error: client_certificates needs \"ca\": who signed the clients' certificates"},
      {"mode: reencrypt\nservers: [c:443]\nserver_tls: { verify: optional }\n",
       ":3:23: error: unknown verify \"optional\"; expected required or none"},
      {"mode: edge\nservers: [c:80]\ncertificate: ${NOT_SET}\n",
       ":3:14: error: the environment variable \"NOT_SET\" is not set; ${NOT_SET:-default} gives a default"},
      {"mode: edge\nservers: [c:80]\ncertificate: !file nowhere\n",
       ":3:14: error: !file nowhere: cannot read: /etc/sallyport/nowhere: No such file or directory"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const Config config = Memory{{"conf.d/x.yaml", row.text}}.load();
    CHECK(first_lines(config) == row.expected);
    CHECK(config.services.size() == (*row.expected == '\0' ? 1 : 0));
    CHECK(config.left_out.size() == (*row.expected == '\0' || std::string(row.text).starts_with("name: a b") ? 0 : 1));
  }
}

TEST_CASE("keys of later versions: their default is accepted, anything else is a fault") {
  const struct {
    const char* mode;
    const char* line;
    const char* what;  // nullptr: accepted
  } rows[] = {
      {"edge", "rate_limit: { requests: 5/s }", "rate_limit"},
      {"edge", "hsts: { max_age: 1d }", "hsts"},
      {"edge", "acme_challenge: gateway", nullptr},
      {"edge", "acme_challenge: service", "acme_challenge: service"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.line);
    const Config config =
        Memory{{"conf.d/x.yaml", std::string("mode: ") + row.mode + "\nservers: [a:80]\n" + row.line + "\n"}}.load();
    if (row.what == nullptr) {
      CHECK(texts(config) == "");
      continue;
    }
    REQUIRE(config.faults.size() == 1);
    CHECK(config.faults[0].message == "\"" + std::string(row.what) + "\" is not supported in this version");
    CHECK(config.faults[0].at.line == 3);
    CHECK(config.faults[0].service == "x");
  }
}

TEST_CASE("gateway faults: each is told once, and the gateway is faulty") {
  const Row rows[] = {
      {"", ""},
      {"# nothing\n", ""},
      {"listeners:\ndefaults:\ncertificates:\nadmin:\nlogs:\n", ""},
      {"listners: {}\n", ":1:1: error: unknown key \"listners\"; did you mean \"listeners\"?"},
      {"- a\n", ":1:1: error: expected a mapping for gateway.yaml, found a list"},
      {"workers: 1\n---\nworkers: 2\n",
       ":3:1: error: gateway.yaml holds one document; services have files of their own"},
      {"workers: 0\n", ":1:10: error: expected a number from 1 to 1024, found \"0\""},
      {"workers: auto\nmax_connections: auto\nalerts: []\n", ""},
      {"alerts: { webhook: x }\n", ":1:9: error: expected a list, found a mapping"},
      {"alerts: [x]\n", ":1:10: error: expected a mapping for an alert, found \"x\""},
      {"state:\n", ":1:1: error: expected a value, found nothing"},
      {"drain_timeout: soon\n", ":1:16: error: expected a duration such as 500ms, 5s, 10m, 1h or 30d, found \"soon\""},
      {"listeners: { http: of }\n", ":1:20: error: expected { bind: … } or off, found \"of\""},
      {"listeners: { a b: { bind: \":1\" } }\n",
       ":1:14: error: the name of a listener is 1 to 64 letters, digits, \"-\", \"_\" and \".\", found \"a b\""},
      {"listeners: { http: { bind: 80 } }\n",
       ":1:28: error: expected an address to listen on, such as \":80\", found \"80\""},
      {"listeners: { web: { bind: \":80\" } }\n",
       ":1:27: error: \":80\" is already the address of the listener \"http\""},
      {"listeners: { http: { bind: [\":80\", \":80\"] } }\n", ":1:36: error: \":80\" is written twice"},
      {"listeners: { web: { public_port: 1 } }\n", ":1:14: error: the listener \"web\" needs \"bind\""},
      {"listeners: { http: { bind: \"unix:run/x\" } }\n",
       ":1:28: error: the path of a unix socket begins with \"/\", found \"unix:run/x\""},
      {"listeners: { http: { http2: on } }\n", ""},
      {"listeners: { http: { http2: {} } }\n", ""},
      {"listeners: { http: { http2: of } }\n",
       ":1:29: error: expected on, off or { max_concurrent_streams: … }, found \"of\""},
      {"listeners: { http: { http2: true } }\n",
       ":1:29: error: expected on, off or { max_concurrent_streams: … }, found \"true\""},
      {"listeners: { http: { http2: } }\n", ":1:29: error: expected a mapping for http2, found nothing"},
      {"listeners: { http: { http2: [on] } }\n", ":1:29: error: expected a mapping for http2, found a list"},
      {"listeners: { http: { htp2: on } }\n", ":1:22: error: unknown key \"htp2\"; did you mean \"http2\"?"},
      {"listeners: { http: { http2: { max_streams: 5 } } }\n", ":1:31: error: unknown key \"max_streams\""},
      {"listeners: { http: { http2: { max_concurrent_streams: 0 } } }\n",
       ":1:55: error: expected a number from 1 to 1000, found \"0\""},
      {"listeners: { http: { http2: { max_headers: 9 } } }\n",
       ":1:44: error: expected a number from 10 to 2000, found \"9\""},
      {"listeners: { http: { http2: { max_resets: 1000001 } } }\n",
       ":1:43: error: expected a number from 10 to 1000000, found \"1000001\""},
      {"listeners: { http: { http2: { max_control_frames: 99 } } }\n",
       ":1:51: error: expected a number from 100 to 1000000, found \"99\""},
      {"listeners: { http: { http2: { max_header_list: 3KiB } } }\n",
       ":1:48: error: expected a size from 4KiB to 256KiB, found \"3KiB\""},
      {"listeners: { http: { http2: { stream_window: 65535 } } }\n",
       ":1:46: error: \"65535\" has no unit; 64KiB is 65536 bytes, 1MiB is 1024KiB"},
      {"listeners: { http: { http2: { stream_window: 9MiB } } }\n",
       ":1:46: error: expected a size from 16KiB to 8MiB, found \"9MiB\""},
      {"listeners: { http: { http2: { connection_window: 32KiB } } }\n",
       ":1:50: error: expected a size from 64KiB to 64MiB, found \"32KiB\""},
      {"listeners: { http: { http2: { stream_window: 2MiB, connection_window: 1MiB } } }\n",
       ":1:46: error: stream_window (2MiB) is more than connection_window (1MiB): no stream could use it"},
      {"certificates: { min_version: \"1.1\" }\n", ":1:30: error: unknown TLS version \"1.1\"; did you mean \"1.2\"?"},
      {"logs: { format: clf }\n", ""},
      {"logs: { format: haproxy, target: journald }\n", ""},
      {"logs: { format: jsn }\n", ":1:17: error: unknown format \"jsn\"; did you mean \"json\"?"},
      {"logs: { format: combined }\n",
       ":1:17: error: unknown format \"combined\"; expected text, json, clf or haproxy"},
      {"logs: { format: \"{client} {{}} \\\"{request}\\\"\\t{status}\" }\n", ""},
      {"logs: { format: \"%h %u\" }\n", ":1:17: error: a log format has placeholders, such as {client}"},
      {"logs: { format: \"{clinet} {host}\" }\n",
       ":1:17: error: unknown placeholder {clinet}; did you mean {client}?"},
      {"logs: { format: \"{x}\" }\n",
       ":1:17: error: unknown placeholder {x}; there are {time}, {time_clf}, {time_unix}, {client}, {client_port}, "
       "{listener}, {service}, {server}, {mode}, {sni}, {host}, {method}, {path}, {protocol}, {request}, {status}, "
       "{in}, {out}, {handshake_ms}, {connect_ms}, {first_byte_ms}, {total_ms}, {end}, {reason}, {referer} and "
       "{user_agent}"},
      {"logs: { format: \"{host\" }\n",
       ":1:17: error: a \"{\" without \"}\"; a brace that is to be seen is written twice, \"{{\""},
      {"logs: { format: \"{host}}\" }\n",
       ":1:17: error: a \"}\" without \"{\"; a brace that is to be seen is written twice, \"}}\""},
      {"logs: { format: \"{host:jsn}\" }\n", ":1:17: error: {host:jsn}: behind the colon only \"json\" is known"},
      {"logs: { format: \"\\\"{host:json}\\\"\" }\n",
       ":1:17: error: {host:json} brings its own quotes: leave out those around it"},
      {"logs: { format: \"{client} \\\"{host}\" }\n", ":1:17: error: a log format has its double quotes in pairs"},
      {"logs: { format: \"{client}\\n{host}\" }\n",
       ":1:17: error: a log format is one line, without control characters but tabs"},
      {"logs: { format: {client} }\n",
       ":1:17: error: a log format of one's own stands in quotes, such as '{client} {host}'"},
      {"logs: { target: journal }\n",
       ":1:17: error: unknown log target \"journal\"; did you mean \"journald\"?"},
      {"logs: { target: access.log }\n",
       ":1:17: error: unknown log target \"access.log\"; expected stderr, journald, syslog:…, or the path of a file, "
       "with a \"/\" in it"},
      {"logs: { target: ./access.log }\n", ""},
      {"logs: { target: syslog }\n", ""},
      {"logs: { target: \"syslog:unix:/run/x\" }\n", ""},
      {"logs: { target: \"syslog:udp:10.0.0.5\" }\n", ""},
      {"logs: { target: \"syslog:tcp:[fd00::5]:601\" }\n", ""},
      {"logs: { target: \"syslog:10.0.0.5:514\" }\n",
       ":1:17: error: expected syslog:udp:HOST:PORT, syslog:tcp:HOST:PORT, syslog:unix:/PATH, or syslog alone for "
       "/dev/log, found \"syslog:10.0.0.5:514\""},
      {"logs: { target: \"syslog:udp:\" }\n",
       ":1:17: error: expected syslog:udp:HOST:PORT, syslog:tcp:HOST:PORT, syslog:unix:/PATH, or syslog alone for "
       "/dev/log, found \"syslog:udp:\""},
      {"logs: { target: \"syslog:tcp:a:b:c\" }\n",
       ":1:17: error: expected a host and a port behind \"syslog:tcp:\", such as logs.lan:514, found "
       "\"syslog:tcp:a:b:c\""},
      {"logs: { target: \"syslog:unix:run/x\" }\n",
       ":1:17: error: expected the absolute path of a socket behind \"syslog:unix:\", found \"syslog:unix:run/x\""},
      {"logs: { format: json, target: stderr, access: false, level: debug }\n", ""},
      {"logs: { access: yes }\n", ":1:17: error: expected true or false, found \"yes\""},
      {"admin: { token: \"a b\" }\n", ":1:17: error: a token is one or more visible ASCII characters, without spaces"},
      {"admin: { hosts: [gateway.example.tld, localhost] }\n", ""},
      {"admin: { hosts: gateway.example.tld }\n",
       ":1:17: error: expected a list, such as [gateway.example.tld], found \"gateway.example.tld\""},
      {"admin: { hosts: [\"*.example.tld\"] }\n",
       ":1:18: error: a host of admin is one name, found \"*.example.tld\""},
      {"admin: { hosts: [\"a b\"] }\n", ":1:18: error: expected a host such as cloud.example.tld, \"*.example.tld\" or \"*\", found \"a b\""},
      {"trusted_proxies: 10.0.0.0/8\n", ":1:18: error: expected a list, such as [10.0.0.0/8], found \"10.0.0.0/8\""},
      {"defaults: { hosts: [a.b] }\n", ":1:13: error: \"hosts\" is not allowed in defaults: it is a service's own"},
      {"defaults: { timeouts: { conect: 5s } }\n", ":1:25: error: unknown key \"conect\"; did you mean \"connect\"?"},
      {"defaults: { listen: nowhere }\n",
       ":1:21: error: unknown listener \"nowhere\"; gateway.yaml names listeners, and an address such as \":5432\" "
       "needs no name"},
      {"defaults: { mode: edg }\n", ":1:19: error: unknown mode \"edg\"; did you mean \"edge\"?"},
      {"defaults: { health: tcp, balance: random, sticky: { by: source } }\n", ""},
      {"defaults: { health: { type: tpc } }\n", ":1:29: error: unknown health \"tpc\"; did you mean \"tcp\"?"},
      {"defaults: { hsts: { max_age: 1d } }\n", ":1:13: error: \"hsts\" is not supported in this version"},
      {"defaults: { preset: proxmox }\n", ":1:13: error: \"preset\" is not allowed in defaults: it is a service's own"},
      {"a: [1\nb: 2\n", ":1:4: error: not valid YAML: this \"[\" is not closed"},
      {"workers: 1\n state: x\n",
       ":2:7: error: not valid YAML: a \":\" where none may stand: a value to be quoted, or a line indented wrongly"},
      {"logs:\n  access: true\n level: info\n",
       ":3:2: error: not valid YAML: this fits neither the line above nor one before it: look at indentation and "
       "quotes"},
      {"logs:\n\taccess: true\n", ":2:8: error: not valid YAML: lines are indented with spaces, not with tabs"},
      {"state: @x\n", ":1:8: error: not valid YAML: a value that begins with \"@\" must be quoted"},
      {"state: \"x\n", ":1:8: error: not valid YAML: this quoted text is not closed"},
      {"state: 'it''s\nworkers: 4\n", ":1:8: error: not valid YAML: this quoted text is not closed"},
      {"state: !!str \"x\\\"\nworkers: 4", ":2:11: error: not valid YAML: this quoted text is not closed"},
      {"state: !!str \"x\\\"y\"  # it's\n", ""},
      {"state: 'it''s'\n", ""},

      {"- a\nworkers: 1\n",
       ":2:1: error: not valid YAML: a new value begins where nothing may follow; a line \"---\" divides documents"},
      {"admin: { token: ${TOKEN} }\n",
       ":1:8: error: not valid YAML: within \"{ }\" and \"[ ]\" a value with \"${\" must be quoted, such as "
       "\"${NAME}\""},
      {",\nworkers: 1\n", ":1:1: error: not valid YAML: this cannot stand here"},
      {"a: &x [*x]\n", ":1:8: error: an alias stands inside the value it repeats"},
      {"state: \"\x01\"\n", ":1:9: error: not UTF-8 text"},
      {"state: \xC3\x28\n", ":1:8: error: not UTF-8 text"},
      {"state: \xE2\x82", ":1:8: error: not UTF-8 text"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const Config config = Memory{{"gateway.yaml", row.text}, {"conf.d/x.yaml", "mode: edge\nservers: [a:80]\n"}}.load();
    CHECK(first_lines(config) == row.expected);
    CHECK(config.gateway_faulty == (*row.expected != '\0'));
    CHECK(config.has_errors() == config.gateway_faulty);
    const bool needs_it = std::string_view(row.text).find("nowhere") != std::string_view::npos;
    CHECK(names(config.services) == (needs_it ? std::vector<std::string>{} : std::vector<std::string>{"x"}));
  }
}

TEST_CASE("faults: what stands beside a secret does not show it") {
  const Config config = Memory{{"gateway.yaml", "admin: { bind: nonsense, token: hunter2 }\n"},
                               {"conf.d/x.yaml",
                                "mode: edge\nservers: [a:80]\nheaders: { request: { set: { Authorization: \"Bearer "
                                "hunter2\", Host: b } } }\n"}}
                            .load();
  REQUIRE(config.faults.size() == 2);
  CHECK(texts(config).find("hunter2") == std::string::npos);
  CHECK(config.faults[0].excerpt == "admin: { bind: nonsense, token: ******* }");
}

TEST_CASE("faults: the caret stands under the place, whatever is before it") {
  const Config config =
      Memory{{"conf.d/x.yaml", "mode: edge\nservers: [a:80]\nheaders: { request: { set: { X-Ä: 1 } } }\n"}}.load();
  REQUIRE(config.faults.size() == 1);
  CHECK(config.faults[0].at.column == 30);
  const Config behind = Memory{{"conf.d/x.yaml", "mode: edge\nservers: [\"ä.lan:80\", b:0]\n"}}.load();
  REQUIRE(behind.faults.size() == 2);
  CHECK(behind.faults[1].text() ==
        "conf.d/x.yaml:2:23: error: expected a port from 1 to 65535, found \"0\"\n"
        "    servers: [\"ä.lan:80\", b:0]\n"
        "                          ^");
}

TEST_CASE("faults: very many stay bounded") {
  std::string text = "mode: edge\nservers: [a:80]\n";
  for (int i = 0; i < 5000; ++i) text += "k" + std::to_string(i) + ": 1\n";
  const Config config = Memory{{"conf.d/x.yaml", text}, {"conf.d/y.yaml", "mode: nonsense\n"}}.load();
  CHECK(config.faults.size() == 201);
  CHECK(config.faults[199].message.ends_with("; further faults of this file are not shown"));
  CHECK(config.left_out == std::vector<std::string>{"x", "y"});
}

}  // namespace
}  // namespace sallyport::config
