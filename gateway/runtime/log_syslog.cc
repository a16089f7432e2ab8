#include "runtime/log_syslog.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <thread>

#include "base/text.h"
#include "runtime/log_priority.h"

namespace sallyport {
namespace {

constexpr int kPatienceMs = 200;
constexpr std::chrono::seconds kConnectTimeout{5};
constexpr size_t kChunk = 64 * 1024;
constexpr size_t kShortest = 2048;  // what every receiver takes (RFC 5426 section 3.2)

bool ready(int fd, short events) noexcept {
  pollfd one{fd, events, 0};
  return ::poll(&one, 1, kPatienceMs) > 0;
}

// Of this machine, as a header may hold it (RFC 5424 section 6.2.4).
std::string header_host() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "-";
  const std::string host(name);
  const bool fine = !host.empty() && std::all_of(host.begin(), host.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return fine ? host : "-";
}

}  // namespace

// A name server that does not answer holds a thread of its own, not the log's. Outlives the sink if it must.
struct SyslogSink::Lookup {
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  std::string failure;
  std::vector<Address> found;

  static std::shared_ptr<Lookup> start(const std::string& host, uint16_t port) {
    auto lookup = std::make_shared<Lookup>();
    std::thread([lookup, host, port] {  // of the log's thread: signals are blocked
      addrinfo hints{};
      hints.ai_socktype = SOCK_DGRAM;
      hints.ai_flags = AI_ADDRCONFIG;
      addrinfo* all = nullptr;
      const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &all);
      std::lock_guard lock(lookup->mutex);
      if (error != 0) lookup->failure = host + ": " + ::gai_strerror(error);
      for (const addrinfo* one = all; error == 0 && one != nullptr; one = one->ai_next)
        lookup->found.push_back(Address::from(one->ai_addr, one->ai_addrlen).with_port(port));
      if (all != nullptr) ::freeaddrinfo(all);
      lookup->done = true;
      lookup->ended.notify_all();
    }).detach();
    return lookup;
  }
};

SyslogSink::SyslogSink(const config::LogTarget& target)
    : Sink(target.text), target_(target), host_name_(header_host()), pid_(std::to_string(::getpid())) {}

SyslogSink::~SyslogSink() = default;

size_t SyslogSink::write(const log::Piece& piece) {
  if (fd_ && !connecting_ && stream_ && !still_there()) hang_up(0);
  if (!connected()) return 0;
  return stream_ ? write_stream(piece) : write_datagrams(piece);
}

bool SyslogSink::find_address() {
  if (target_.kind == config::LogTarget::Kind::syslog_unix) {
    if (auto address = Address::parse("unix:" + target_.path)) addresses_ = {*address};
    return !addresses_.empty();
  }
  if (auto address = Address::parse_ip(target_.host, target_.port)) {
    addresses_ = {*address};
    return true;
  }
  // The next of those known, then the name again.
  if (next_address_ < addresses_.size()) return true;
  if (!lookup_) lookup_ = Lookup::start(target_.host, target_.port);
  std::unique_lock lock(lookup_->mutex);
  if (!lookup_->ended.wait_for(lock, std::chrono::milliseconds(kPatienceMs), [this] { return lookup_->done; }))
    return false;
  addresses_ = lookup_->found;
  next_address_ = 0;
  why_ = lookup_->failure;
  lock.unlock();
  lookup_.reset();
  return !addresses_.empty();
}

bool SyslogSink::begin_connect() {
  if (!find_address()) return false;
  if (next_address_ >= addresses_.size()) next_address_ = 0;
  const Address& address = addresses_[next_address_++];
  using Target = config::LogTarget::Kind;
  stream_ = counted_ = target_.kind == Target::syslog_tcp;
  begun_ = 0;
  said_something_ = false;
  const int type = SOCK_NONBLOCK | SOCK_CLOEXEC | (stream_ ? SOCK_STREAM : SOCK_DGRAM);
  fd_.reset(::socket(address.family(), type, 0));
  int result = fd_ ? ::connect(fd_.get(), address.sa(), address.length()) : -1;
  if (result != 0 && errno == EPROTOTYPE && target_.kind == Target::syslog_unix) {
    // A local syslog that listens for connections; there lines are told apart by their ends.
    stream_ = true;
    fd_.reset(::socket(AF_UNIX, SOCK_NONBLOCK | SOCK_CLOEXEC | SOCK_STREAM, 0));
    result = fd_ ? ::connect(fd_.get(), address.sa(), address.length()) : -1;
  }
  if (result != 0 && errno != EINPROGRESS) {
    hang_up(errno);
    return false;
  }
  connecting_ = result != 0;
  connect_until_ = std::chrono::steady_clock::now() + kConnectTimeout;
  return true;
}

bool SyslogSink::connected() {
  if (!fd_ && !begin_connect()) return false;
  if (!connecting_) return true;
  if (!ready(fd_.get(), POLLOUT)) {
    if (std::chrono::steady_clock::now() >= connect_until_) hang_up(ETIMEDOUT);
    return false;
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    hang_up(error);
    return false;
  }
  connecting_ = false;
  return true;
}

// error: 0 where the server just closed.
void SyslogSink::hang_up(int error) {
  if (error != 0) why_ = Error::from_errno(error, Side::internal, Retry::no, "").text();
  fd_.reset();
  connecting_ = false;
  begun_ = 0;
}

// A server that has closed would take what is sent and throw it away.
bool SyslogSink::still_there() {
  char ignored[256];
  for (;;) {
    const ssize_t count = ::recv(fd_.get(), ignored, sizeof ignored, MSG_DONTWAIT);
    if (count > 0) continue;
    return count < 0 && (errno == EAGAIN || errno == EINTR);
  }
}

void SyslogSink::frame(const log::Event& event, const log::Piece& piece) {
  frame_ = "<";
  append_number(frame_, static_cast<uint64_t>(kSyslogDaemon * 8 + syslog_severity(piece.level)));
  frame_.append(">1 ").append(event.time.empty() ? std::string_view("-") : event.time).append(" ").append(host_name_);
  frame_.append(" sallyport ").append(pid_).append(piece.access ? " access - " : " event - ").append(event.message);
}

size_t SyslogSink::write_datagrams(const log::Piece& piece) {
  size_t done = 0;
  while (done < piece.lines.size()) {
    const log::Event event = log::first_event(piece.lines.substr(done), piece.shape);
    frame(event, piece);
    if (!send_datagram(frame_)) return done;
    done += event.size;
  }
  return done;
}

// False: not now.
bool SyslogSink::send_datagram(std::string_view message) {
  for (;;) {
    if (::send(fd_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
      said_something_ = true;
      return true;
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (error == EMSGSIZE && message.size() > kShortest) {
      message = message.substr(0, kShortest);
      continue;
    }
    if (error == EMSGSIZE) {
      ++lost_;
      return true;
    }
    if (error == EAGAIN || error == ENOBUFS) {
      why_.clear();
      if (error == EAGAIN && ready(fd_.get(), POLLOUT)) continue;
      return false;
    }
    // UDP: this is what came back for the one before.
    if (error == ECONNREFUSED && said_something_ && target_.kind == config::LogTarget::Kind::syslog_udp) ++lost_;
    hang_up(error);
    return false;
  }
}

size_t SyslogSink::write_stream(const log::Piece& piece) {
  size_t done = 0;
  while (done < piece.lines.size()) {
    chunk_.clear();
    ends_.clear();
    for (size_t at = done; at < piece.lines.size() && chunk_.size() < kChunk;) {
      const log::Event event = log::first_event(piece.lines.substr(at), piece.shape);
      frame(event, piece);
      if (counted_) {
        append_number(chunk_, frame_.size());
        chunk_ += ' ';
      }
      chunk_ += frame_;
      if (!counted_) chunk_ += '\n';
      at += event.size;
      ends_.emplace_back(chunk_.size(), at);
    }
    size_t sent = begun_;
    int error = 0;
    while (sent < chunk_.size() && error == 0) {
      const ssize_t count = ::send(fd_.get(), chunk_.data() + sent, chunk_.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count >= 0)
        sent += static_cast<size_t>(count);
      else if (errno == EAGAIN && !ready(fd_.get(), POLLOUT))
        error = EAGAIN;
      else if (errno != EINTR && errno != EAGAIN)
        error = errno;
    }
    size_t whole = 0;
    for (const auto& [frame_end, line_end] : ends_) {
      if (frame_end > sent) break;
      whole = frame_end;
      done = line_end;
    }
    // The same line comes again, and makes the same frame: its time is kept with it.
    begun_ = sent - whole;
    if (error == EAGAIN) {
      why_.clear();
      return done;
    }
    if (error != 0) {
      hang_up(error);
      return done;
    }
  }
  return done;
}

}  // namespace sallyport
