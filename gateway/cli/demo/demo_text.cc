#include "cli/demo/demo_text.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "base/format.h"

namespace sallyport::demo {
namespace {

// {0} folder, {1} http, {2} https, {3} ssh, {4} tcp and {5} admin port, {6} the CA, {7} the passthrough server's CA,
// {8} this program.
constexpr const char* kText = R"(
A gateway runs on 127.0.0.1, with sample servers behind it.

  folder  {0}
          its configuration (gateway.yaml, conf.d/) and certificates; removed at the end
  ports   {1} http, {2} https, {3} ssh, {4} tcp, {5} admin

Try these in another terminal. Names under .localhost lead to this machine. Each try leaves a line in the log here.

edge: TLS ends at the gateway, the server speaks plain HTTP and shows what it received
  $ curl -sS --cacert {6} https://edge.localhost:{2}/hello
    shows "GET /hello HTTP/1.1" and who asked, as headers: "X-Forwarded-For: 127.0.0.1" "X-Forwarded-Proto: https"
  $ curl -sSi http://edge.localhost:{1}/hello
    shows "301 Moved Permanently": plain HTTP is sent on to "https://edge.localhost:{2}/hello"
  $ openssl s_client -connect 127.0.0.1:{2} -servername edge.localhost </dev/null 2>/dev/null | openssl x509 -noout -issuer
    shows who signed the certificate: "sallyport demo CA"

HTTP/2: with whoever speaks it, over TLS and without; the server need not
  $ curl -sS -o /dev/null -w 'HTTP/%{{http_version}}\n' --cacert {6} https://edge.localhost:{2}/hello
    shows "HTTP/2"; with --http1.1 it would be 1.1
  $ curl -sS -o /dev/null -w 'HTTP/%{{http_version}}\n' --http2-prior-knowledge http://plain.localhost:{1}/
    shows "HTTP/2" without TLS

WebSocket, through the same service: an upgrade, one frame, a close
  $ (printf 'GET /ws HTTP/1.1\r\nHost: edge.localhost:{2}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'; sleep 1; printf '\201\217\0\0\0\0hello websocket\210\200\0\0\0\0') | openssl s_client -quiet -CAfile {6} -connect 127.0.0.1:{2} -servername edge.localhost 2>/dev/null
    shows "101 Switching Protocols" and the frame that came back: "hello websocket"

reencrypt: TLS ends at the gateway and begins anew to the server, whose certificate is verified
  $ curl -sS --cacert {6} https://reencrypt.localhost:{2}/
    shows "This is the reencrypt server, over TLS of its own."

passthrough: the bytes go on as they are, and the certificate is the server's own
  $ openssl s_client -connect 127.0.0.1:{2} -servername passthrough.localhost </dev/null 2>/dev/null | openssl x509 -noout -issuer
    shows "the passthrough server's own CA", which the gateway knows nothing of
  $ curl -sS --cacert {7} https://passthrough.localhost:{2}/
    shows "This is the passthrough server." and no X-Forwarded headers: the gateway cannot add any

http and redirect: on the plain port
  $ curl -sS http://plain.localhost:{1}/
    shows "Host: plain.localhost:{1}"
  $ curl -sSi http://old.localhost:{1}/page
    shows "308 Permanent Redirect" to "https://edge.localhost:{2}/page"

ssh: on its own port, and on the port of TLS, told apart by the first bytes
  $ bash -c 'head -n 1 </dev/tcp/127.0.0.1/{3}'
    shows the greeting "SSH-2.0-sallyport_demo"
  $ bash -c 'exec 3<>/dev/tcp/127.0.0.1/{2}; echo SSH-2.0-try >&3; head -n 1 <&3'
    shows the same "SSH-2.0-sallyport_demo", on {2}

tcp: any protocol; the server learns the client's address from a PROXY header
  $ bash -c 'exec 3<>/dev/tcp/127.0.0.1/{4}; head -n 1 <&3'
    shows "The PROXY header says that you are 127.0.0.1:"

a host that the connection may not reach, and the gateway's own view
  $ curl -sSi --cacert {6} -H 'Host: passthrough.localhost' https://edge.localhost:{2}/
    shows "421 Misdirected Request": decrypted requests never reach a passthrough service
  $ curl -sS http://127.0.0.1:{5}/metrics
    shows counters for Prometheus, "sallyport_sniffed_total" among them: what the first bytes of connections were
  $ {8} check --config {0}
    shows "7 services good"
  $ {8} certs list --config {0}
    shows "edge.localhost", when its certificate ends, and which service uses it

what happens to a client, and why; and a change, which is taken up half a second later, while nothing else notices
  $ {8} explain https://edge.localhost:{2}/hello --config {0}
    shows the listener, the service with its file, the certificate, and the server that gets it: "conf.d/edge.yaml"
  $ printf 'mode: redirect\nhosts: [new.localhost]\nredirect: {{ to: "https://edge.localhost:{2}" }}\n' >{0}/conf.d/new.yaml; sleep 2; curl -sSi http://new.localhost:{1}/
    shows "308 Permanent Redirect"
  $ {8} status --config {0}
    shows "8 services" and the last reload

The dashboard: http://127.0.0.1:{5}/

A browser shows the same once it trusts {6}: https://edge.localhost:{2}/

Ctrl-C ends the demo and removes the folder.
)";

bool is_installed(std::string_view program) {
  const char* path = std::getenv("PATH");
  std::string_view left = path != nullptr ? path : "/usr/bin:/bin";
  for (;;) {
    const size_t colon = left.find(':');
    std::string file(left.substr(0, colon));
    file += '/';
    file += program;
    if (access(file.c_str(), X_OK) == 0) return true;
    if (colon == std::string_view::npos) return false;
    left.remove_prefix(colon + 1);
  }
}

std::string this_program() {
  std::error_code failed;
  fs::path path = fs::read_symlink("/proc/self/exe", failed);
  return failed ? "sallyport" : path.string();
}

}  // namespace

std::string demo_text(const fs::path& folder, const DemoOptions& options, uint16_t admin_port,
                      const DemoCertificates& certificates) {
  std::string text =
      format(kText, folder.string(), options.http_port, options.https_port, options.ssh_port, options.tcp_port,
             admin_port, certificates.root.string(), certificates.passthrough_root.string(), this_program());
  std::string missing;
  for (const char* program : {"curl", "openssl"})
    if (!is_installed(program)) missing += format(" {}", program);
  if (!missing.empty())
    text += format("\nSome of the commands need what is not installed here: apt-get install{}\n", missing);
  return text;
}

}  // namespace sallyport::demo
