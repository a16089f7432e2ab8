// c-ares on a loop: asks the name servers of resolv.conf, and looks into /etc/hosts, without blocking and with the TTLs
// that getaddrinfo(3) does not tell.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "net/dns_answer.h"
#include "net/loop.h"

struct ares_channeldata;
struct ares_addrinfo;

namespace sallyport {

struct DnsReply {
  enum class Kind : uint8_t {
    found,
    not_found,  // DNS does not have it, or there is no DNS: the host may know it in another way
    failed,     // DNS does not answer, or nothing that can be used
  };
  Kind kind = Kind::failed;
  const char* why = "";
  Resolved found;  // ports are 0
};

// What one state of resolv.conf says; a changed one needs a new channel. Owned by a Resolver, on its loop's thread.
// When it dies, what it was asked is not answered any more.
class DnsChannel final : private Deadline::Owner {
 public:
  // Called once, in a later turn, unless the channel died first; may destroy the channel.
  using Done = std::function<void(DnsReply)>;

  // port: of the name servers. Null if c-ares cannot be set up.
  static std::unique_ptr<DnsChannel> make(Loop& loop, const std::string& resolv_conf, uint16_t port);
  ~DnsChannel();
  DnsChannel(const DnsChannel&) = delete;
  DnsChannel& operator=(const DnsChannel&) = delete;

  // A and AAAA, as getaddrinfo(3) would ask: /etc/hosts first, with the search list.
  void addresses(const std::string& host, Done done);
  // SRV; the targets come without their addresses.
  void services(const std::string& name, Done done);
  size_t pending() const noexcept { return pending_; }

 private:
  struct Question;
  struct Socket;

  explicit DnsChannel(Loop& loop) noexcept : loop_(loop), deadline_(*this) {}
  void on_deadline(Deadline& which) override;
  static void on_socket(void* channel, int fd, int readable, int writable);
  static void on_ready(uv_poll_t* handle, int status, int events);
  static void on_addresses(void* question, int status, int timeouts, ares_addrinfo* list);
  static void on_services(void* question, int status, int timeouts, unsigned char* message, int length);
  static void finish(std::unique_ptr<Question> question, int status, Resolved found);
  void watch(int fd, int events);
  void process(int readable, int writable);
  void schedule();

  Loop& loop_;
  Deadline deadline_;
  ares_channeldata* ares_ = nullptr;
  std::map<int, Socket*> sockets_;  // freed once libuv has closed them
  size_t pending_ = 0;
};

}  // namespace sallyport
