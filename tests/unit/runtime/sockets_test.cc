// Listening sockets: handed over, kept over a restart, or bound. The service manager is a socket of the test's own.
#include "runtime/sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/format.h"
#include "catch.h"
#include "config/values.h"

namespace sallyport {
namespace {

UniqueFd bound(const std::string& address, int type = SOCK_STREAM, bool listening = true, bool v6_only = true) {
  if (type == SOCK_STREAM && listening) {
    ListenOptions options;
    options.v6_only = v6_only;
    auto fd = listen_on(*Address::parse(address), options);
    REQUIRE(fd);
    return std::move(*fd);
  }
  const Address where = *Address::parse(address);
  UniqueFd fd(socket(where.family(), type, 0));
  REQUIRE(bind(fd.get(), where.sa(), where.length()) == 0);
  return fd;
}

std::string address_of(const UniqueFd& fd) { return local_address(fd.get()).text(); }

std::vector<InheritedSocket> sockets() { return {}; }
template <class... More>
std::vector<InheritedSocket> sockets(std::string name, UniqueFd fd, More... more) {
  std::vector<InheritedSocket> out;
  out.push_back({std::move(fd), std::move(name)});
  for (InheritedSocket& one : sockets(std::move(more)...)) out.push_back(std::move(one));
  return out;
}

config::Bind bind_of(const std::string& text) {
  auto bind = config::parse_bind(text);
  REQUIRE(bind);
  return *bind;
}

// A snapshot of nothing but listeners.
Snapshot listeners(const std::vector<std::pair<std::string, std::vector<std::string>>>& named) {
  Snapshot out;
  for (const auto& [name, binds] : named) {
    auto rules = std::make_unique<ListenerRules>();
    rules->name = rules->config.name = name;
    for (const std::string& bind : binds) rules->config.binds.push_back(bind_of(bind));
    out.listeners.push_back(std::move(rules));
  }
  return out;
}

// NOTIFY_SOCKET: what is said, and the descriptors with it.
class Manager {
 public:
  Manager() : path_(std::filesystem::temp_directory_path() / format("sp-notify-{}", getpid())), fd_(make()) {
    setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  }
  ~Manager() {
    unsetenv("NOTIFY_SOCKET");
    unlink(path_.c_str());
  }
  // "FDSTORE=1 FDNAME=x 2": lines of the next message, and how many descriptors; empty: there is none.
  std::string next() {
    char text[512] = {};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * 253)] = {};
    iovec io{text, sizeof text - 1};
    msghdr message{};
    message.msg_iov = &io;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(fd_.get(), &message, MSG_DONTWAIT) < 0) return "";
    size_t count = 0;
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
      if (head->cmsg_type != SCM_RIGHTS) continue;
      count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      const int* fds = reinterpret_cast<const int*>(CMSG_DATA(head));
      for (size_t i = 0; i < count; ++i) kept.emplace_back(fds[i]);
    }
    for (char& c : text)
      if (c == '\n') c = ' ';
    return format("{} {}", text, count);
  }
  std::vector<UniqueFd> kept;

 private:
  UniqueFd make() {
    UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.string().copy(address.sun_path, sizeof address.sun_path - 1);
    unlink(path_.c_str());
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return fd;
  }
  std::filesystem::path path_;
  UniqueFd fd_;
};

struct Opened {
  std::vector<OpenSocket> sockets;
  std::vector<config::Bind> failed;
};

// In the order that a start goes by (open_listeners).
Opened open_all(SocketOpener& opener, const Snapshot& snapshot) {
  Opened out;
  const auto take = [&out](std::vector<OpenSocket> some) {
    for (OpenSocket& socket : some) out.sockets.push_back(std::move(socket));
    return !some.empty();
  };
  opener.forget_all_but(snapshot);
  std::vector<std::pair<std::shared_ptr<ListenerShare>, const ListenerRules*>> without;
  for (const auto& rules : snapshot.listeners) {
    auto share = std::make_shared<ListenerShare>();
    share->name = rules->name;
    if (!take(opener.take_over(share))) without.emplace_back(share, rules.get());
  }
  for (const auto& [share, rules] : without)
    for (const config::Bind& bind : rules->config.binds) {
      if (take(opener.take_over_at(share, bind))) continue;
      auto socket = opener.open(share, bind);
      if (socket) {
        out.sockets.push_back(std::move(*socket));
      } else {
        out.failed.push_back(bind);
      }
    }
  opener.forget_the_rest();
  return out;
}

std::string where(const OpenSocket& socket) { return socket.address + socket.from; }

}  // namespace

TEST_CASE("handed sockets: what is no listening stream socket is refused") {
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  UniqueFd other(pair[1]);
  HandedSockets handed(sockets("good", bound("127.0.0.1:0"), "udp", bound("127.0.0.1:0", SOCK_DGRAM), "deaf",
                               bound("127.0.0.1:0", SOCK_STREAM, false), "connection", UniqueFd(pair[0]), "file",
                               UniqueFd(open("/dev/null", 0))));
  REQUIRE(handed.left().size() == 1);
  CHECK(handed.left()[0].starts_with("\"good\" (127.0.0.1:"));
  for (const char* name : {"udp", "deaf", "connection", "file"}) CHECK(handed.take_named(name).empty());
  CHECK(handed.take_named("good").size() == 1);
  CHECK(handed.left().empty());
}

TEST_CASE("sockets: all of one name go to its listener, which binds nothing itself") {
  const std::string path = std::filesystem::temp_directory_path() / format("sp-handed-{}", getpid());
  UniqueFd v4 = bound("127.0.0.1:0"), local = bound("unix:" + path);
  const std::string first = address_of(v4);
  SocketOpener opener(2, sockets("web", std::move(v4), "web", std::move(local)));
  Opened opened = open_all(opener, listeners({{"web", {"127.0.0.1:1"}}}));
  CHECK(opened.failed.empty());
  REQUIRE(opened.sockets.size() == 2);
  CHECK(opened.sockets[0].address == first + " (handed over)");
  CHECK(opened.sockets[1].address == "unix:" + path + " (handed over)");
  for (const OpenSocket& socket : opened.sockets) {
    CHECK(socket.shared);
    CHECK(socket.fds.size() == 1);
  }
  unlink(path.c_str());
}

TEST_CASE("sockets: without a listener of its name a socket goes to the bind of its address") {
  UniqueFd by_address = bound("127.0.0.1:0"), both = bound("[::]:0", SOCK_STREAM, true, false),
           nobodys = bound("127.0.0.1:0");
  const std::string first = address_of(by_address), lost = address_of(nobodys);
  const std::string any = format(":{}", local_address(both.get()).port());
  SocketOpener opener(2, sockets("sallyport-web.socket", std::move(by_address), "unknown", std::move(both), "lan",
                                 std::move(nobodys)));
  Opened opened = open_all(opener, listeners({{"web", {first, "127.0.0.1:0"}}, {"all", {any}}}));
  CHECK(opened.failed.empty());
  REQUIRE(opened.sockets.size() == 3);
  CHECK(where(opened.sockets[0]) == first + " (handed over)");
  CHECK(where(opened.sockets[1]) == "127.0.0.1:0");  // its other bind is opened as ever
  CHECK(opened.sockets[1].fds.size() == 2);
  CHECK(where(opened.sockets[2]) == any + " (handed over)");
  CHECK(opener.unused() == std::vector<std::string>{"\"lan\" (" + lost + ")"});
}

TEST_CASE("sockets: a name goes before an address") {
  UniqueFd fd = bound("127.0.0.1:0");
  const std::string taken = address_of(fd);
  SocketOpener opener(1, sockets("second", std::move(fd)));
  Opened opened = open_all(opener, listeners({{"first", {taken}}, {"second", {"127.0.0.1:1"}}}));
  REQUIRE(opened.sockets.size() == 1);
  CHECK(opened.sockets[0].share->name == "second");
  REQUIRE(opened.failed.size() == 1);
  CHECK(opened.failed[0].text == taken);
}

TEST_CASE("store: every bind has a name of its own, of what systemd allows") {
  std::set<std::string> names;
  for (const char* text : {":443", "0.0.0.0:443", "127.0.0.1:443", "[::]:443", "[::1]:443", "unix:/run/a", "unix:/run/a b",
                           "unix:/run/a%20b", "unix:/run/ä"}) {
    const std::string name = name_in_store(bind_of(text));
    CAPTURE(text, name);
    CHECK(names.insert(name).second);
    CHECK(name.size() <= 255);
    CHECK(std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 127 && c != ':'; }));
  }
  CHECK(name_in_store(bind_of("127.0.0.1:0")).empty());
  CHECK(name_in_store(bind_of("unix:/" + std::string(100, '\x01'))).empty());
}

TEST_CASE("store: what is bound is kept, taken up by the same bind, and given up when that is gone") {
  Manager manager;
  const Address free = local_address(bound("127.0.0.1:0").get());
  const Snapshot snapshot = listeners({{"web", {free.text()}}});
  const std::string name = name_in_store(bind_of(free.text()));
  {
    SocketOpener opener(2, {});
    Opened first = open_all(opener, snapshot);
    REQUIRE(first.failed.empty());
    CHECK(first.sockets[0].fds.size() == 2);
    CHECK(manager.next() == format("FDSTORE=1 FDNAME={} 2", name));
    CHECK(manager.next().empty());
  }
  // Nobody listens but the manager's copies. Somebody connects to either.
  REQUIRE(manager.kept.size() == 2);
  std::vector<Result<Connecting>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(connect_to(free));
    REQUIRE(clients.back());
  }
  for (const unsigned workers : {1U, 2U, 3U}) {
    CAPTURE(workers);
    std::vector<InheritedSocket> again;
    for (const UniqueFd& fd : manager.kept) again.push_back({UniqueFd(dup(fd.get())), name});
    const size_t before = again.size();
    SocketOpener opener(workers, std::move(again));
    Opened second = open_all(opener, snapshot);
    REQUIRE(second.failed.empty());
    REQUIRE(second.sockets.size() == 1);
    CHECK(where(second.sockets[0]) == free.text() + " (kept)");
    CHECK_FALSE(second.sockets[0].shared);
    CHECK(second.sockets[0].fds.size() == std::max<size_t>(before, workers));
    // Only what is new is given away.
    CHECK(manager.next() == (workers > before ? format("FDSTORE=1 FDNAME={} {}", name, workers - before) : ""));
    CHECK(manager.next().empty());
  }
  // All who came in the meantime are there.
  int accepted = 0;
  for (const UniqueFd& fd : manager.kept)
    while (accept_from(fd.get())) ++accepted;
  CHECK(accepted == 40);

  std::vector<InheritedSocket> again;
  for (const UniqueFd& fd : manager.kept) again.push_back({UniqueFd(dup(fd.get())), name});
  unsetenv("NOTIFY_SOCKET");  // the rest would wait for an answer
  SocketOpener opener(2, std::move(again));
  manager.kept.clear();
  const std::string other = local_address(bound("127.0.0.1:0").get()).text();
  Opened moved = open_all(opener, listeners({{"web", {other}}}));
  REQUIRE(moved.failed.empty());
  CHECK(moved.sockets[0].address == other);
  CHECK(probe_free(free, true));
}

TEST_CASE("store: what is not as it would be made now is not taken up") {
  Manager manager;
  const std::string path = std::filesystem::temp_directory_path() / format("sp-kept-{}", getpid());
  struct Row {
    const char* what;
    std::string bind;
    UniqueFd fd;
  };
  const std::string free = address_of(bound("127.0.0.1:0"));
  std::vector<Row> rows;
  rows.push_back({"another address", free, bound("127.0.0.1:0")});
  rows.push_back({"another family", free, bound("unix:" + path + "-other")});
  rows.push_back({"its file is gone", "unix:" + path, bound("unix:" + path)});
  unlink(path.c_str());
  for (Row& row : rows) {
    CAPTURE(row.what);
    const std::string name = name_in_store(bind_of(row.bind));
    SocketOpener opener(1, sockets(name, std::move(row.fd)));
    Opened opened = open_all(opener, listeners({{"web", {row.bind}}}));
    REQUIRE(opened.failed.empty());
    CHECK(where(opened.sockets[0]) == row.bind);
    // Out with the old before the new of the same name comes in.
    CHECK(manager.next() == format("FDSTOREREMOVE=1 FDNAME={} 0", name));
    CHECK(manager.next() == format("FDSTORE=1 FDNAME={} 1", name));
    manager.kept.clear();
  }
  unlink(path.c_str());
  unlink((path + "-other").c_str());
}

TEST_CASE("store: a unix socket is kept with its file") {
  const std::string path = std::filesystem::temp_directory_path() / format("sp-kept-{}", getpid());
  const std::string name = name_in_store(bind_of("unix:" + path));
  SocketOpener opener(3, sockets(name, bound("unix:" + path)));
  Opened opened = open_all(opener, listeners({{"web", {"unix:" + path}}}));
  REQUIRE(opened.sockets.size() == 1);
  CHECK(opened.sockets[0].shared);
  CHECK(opened.sockets[0].fds.size() == 1);
  CHECK(where(opened.sockets[0]) == "unix:" + path + " (kept)");
  unlink(path.c_str());
}

}  // namespace sallyport
