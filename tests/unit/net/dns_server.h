// A name server of a few lines, on 127.0.0.1 and a port of its own, and the resolv.conf that names it.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "catch.h"
#include "net/resolver.h"
#include "net/socket.h"
#include "test_certificates.h"

namespace sallyport::test {

inline std::string u16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
inline std::string u32(uint32_t value) { return u16(value >> 16) + u16(value & 0xffff); }
// "a.b" as labels.
inline std::string dns_name(const std::string& name) {
  std::string out;
  for (size_t at = 0; at < name.size();) {
    const size_t dot = std::min(name.find('.', at), name.size());
    out += static_cast<char>(dot - at) + name.substr(at, dot - at);
    at = dot + 1;
  }
  return out + '\0';
}

struct DnsRecord {
  unsigned type = 1;
  uint32_t ttl = 1;
  std::string data;
};
inline DnsRecord a_record(const std::string& ip, uint32_t ttl = 1) {
  const Address address = *Address::parse_ip(ip, 0);
  return {address.family() == AF_INET6 ? 28u : 1u, ttl, std::string(address.ip_bytes())};
}
inline DnsRecord srv_record(unsigned priority, unsigned weight, unsigned port, const std::string& target,
                            uint32_t ttl = 1) {
  return {33, ttl, u16(priority) + u16(weight) + u16(port) + dns_name(target)};
}
// The answer section's records, about the name that was asked for.
inline std::string dns_message(const std::string& id, const std::string& question, unsigned code,
                               const std::vector<DnsRecord>& records) {
  std::string out = id + u16(0x8180 | code) + u16(1) + u16(static_cast<unsigned>(records.size())) + u32(0) + question;
  for (const DnsRecord& record : records)
    out += u16(0xc00c) + u16(record.type) + u16(1) + u32(record.ttl) + u16(static_cast<unsigned>(record.data.size())) +
           record.data;
  return out;
}

class DnsServer {
 public:
  static constexpr int kSilent = -1;

  DnsServer() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const Address any_port = *Address::parse_ip("127.0.0.1", 0);
    REQUIRE(bind(fd_.get(), any_port.sa(), any_port.length()) == 0);
    resolv_conf_ = folder_.write("resolv.conf", "nameserver 127.0.0.1\n");
    thread_ = std::thread([this] { serve(); });
  }
  ~DnsServer() {
    const UniqueFd waker(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const Address self = local_address(fd_.get());
    sendto(waker.get(), "", 0, 0, self.sa(), self.length());
    thread_.join();
  }

  ResolverOptions options() const { return {resolv_conf_, local_address(fd_.get()).port()}; }
  const std::string& resolv_conf() const { return resolv_conf_; }
  const TemporaryFolder& folder() const { return folder_; }

  void set(const std::string& name, std::vector<DnsRecord> records) {
    std::lock_guard lock(mutex_);
    zone_[name] = std::move(records);
  }
  void remove(const std::string& name) {
    std::lock_guard lock(mutex_);
    zone_.erase(name);
  }
  // What every question is answered with: an RCODE (2: SERVFAIL), or kSilent; 0: the zone.
  void break_down(int how) {
    std::lock_guard lock(mutex_);
    broken_ = how;
  }
  // Questions of a type so far.
  int asked(const std::string& name, unsigned type = 1) {
    std::lock_guard lock(mutex_);
    return asked_[{name, type}];
  }

 private:
  void serve() {
    char buffer[1500];
    sockaddr_storage peer{};
    for (;;) {
      socklen_t length = sizeof peer;
      const ssize_t size = recvfrom(fd_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&peer), &length);
      if (size < 17) return;  // the end of the test
      const std::string query(buffer, static_cast<size_t>(size));
      std::string name;
      size_t at = 12;
      for (; query[at] != 0; at += 1 + static_cast<size_t>(query[at]))
        name += (name.empty() ? "" : ".") + query.substr(at + 1, static_cast<size_t>(query[at]));
      const unsigned type = static_cast<unsigned char>(query[at + 2]);
      const std::string answer = answer_to(query.substr(0, 2), query.substr(12, at + 5 - 12), name, type);
      if (!answer.empty())
        sendto(fd_.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&peer), length);
    }
  }
  std::string answer_to(const std::string& id, const std::string& question, const std::string& name, unsigned type) {
    std::lock_guard lock(mutex_);
    ++asked_[{name, type}];
    if (broken_ == kSilent) return {};
    if (broken_ != 0) return dns_message(id, question, static_cast<unsigned>(broken_), {});
    auto found = zone_.find(name);
    std::vector<DnsRecord> records;
    if (found != zone_.end())
      for (const DnsRecord& record : found->second)
        if (record.type == type) records.push_back(record);
    return dns_message(id, question, found == zone_.end() ? 3 : 0, records);
  }

  TemporaryFolder folder_;
  UniqueFd fd_;
  std::string resolv_conf_;
  std::mutex mutex_;
  std::map<std::string, std::vector<DnsRecord>> zone_;
  std::map<std::pair<std::string, unsigned>, int> asked_;
  int broken_ = 0;
  std::thread thread_;
};

}  // namespace sallyport::test
