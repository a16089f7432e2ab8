#include "config/fingerprint.h"

#include "base/format.h"

namespace sallyport::config {
namespace {

// Every part is preceded by its length, so that no two settings can read alike.
class Print {
 public:
  Print& operator<<(std::string_view text) {
    format_to(std::back_inserter(out_), "{}:{};", text.size(), text);
    return *this;
  }
  Print& operator<<(const std::string& text) { return *this << std::string_view(text); }
  Print& operator<<(const char*) = delete;
  template <class T>
  requires std::is_integral_v<T> || std::is_enum_v<T> Print& operator<<(T number) {
    format_to(std::back_inserter(out_), "{};", static_cast<long long>(number));
    return *this;
  }
  Print& operator<<(Milliseconds time) { return *this << time.count(); }
  Print& operator<<(const Network& network) { return *this << network.text(); }
  Print& operator<<(const std::pair<std::string, std::string>& header) {
    return *this << header.first << header.second;
  }
  Print& operator<<(const Server& s) {
    return *this << s.host << s.port << s.unix_path << s.name << s.weight << s.backup << s.max_connections;
  }
  Print& operator<<(const std::pair<uint16_t, uint16_t>& range) { return *this << range.first << range.second; }
  template <class T>
  Print& operator<<(const std::vector<T>& list) {
    *this << list.size();
    for (const T& item : list) *this << item;
    return *this;
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace

std::string fingerprint_of(const Service& s) {
  Print print;
  print << s.name << s.mode << s.protocol_tcp << s.listeners << s.hosts << s.paths << s.servers << s.plain_http;
  print << s.redirect.to << s.redirect.status << s.redirect.keep_path;
  const ServerTls& tls = s.server_tls;
  print << tls.enabled << tls.verify << tls.ca << tls.name << tls.client_certificate << tls.protocol
        << s.server_protocol;
  print << s.balance << s.slow_start << s.retries << s.proxy_protocol << s.transparent << s.resolve;
  print << s.sticky.by << s.sticky.expire << s.sticky.size << s.sticky.ipv6_prefix << s.sticky.cookie;
  print << s.queue.size << s.queue.timeout << s.retry_on.connect << s.retry_on.reset << s.retry_on.statuses;
  const Health& h = s.health;
  print << h.type << h.interval << h.timeout << h.fall << h.rise << h.port << h.method << h.path << h.host << h.expect;
  print << h.body << h.verify.has_value() << h.verify.value_or(Verify::none) << h.user << h.password;
  print << h.passive_failures << h.passive_window << h.close_on_down;
  const Timeouts& t = s.timeouts;
  print << t.connect << t.handshake << t.request << t.keep_alive << t.client << t.server << t.tunnel;
  print << s.request_headers.set << s.request_headers.add << s.request_headers.remove;
  print << s.response_headers.set << s.response_headers.add << s.response_headers.remove;
  print << s.access.allow << s.access.deny << s.certificate;
  print << s.client_certificates.ca << s.client_certificates.verify << s.client_certificates.crl;
  return print.take();
}

}  // namespace sallyport::config
