#include "admin/admin_server.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "base/log.h"
#include "base/text.h"
#include "config/values.h"
#include "net/socket.h"

namespace sallyport {
namespace {

constexpr size_t kMostConnections = 64;
constexpr std::chrono::milliseconds kPause{100};
constexpr uint64_t kTellEveryMs = 10'000;

}  // namespace

// One address, and who came in there: crowds at one do not shut out who comes by the other.
class AdminServer::Listener final : public IoHandler, public AdminConnection::Owner, private Deadline::Owner {
 public:
  Listener(AdminServer& server, UniqueFd fd, bool local, bool loopback)
      : server_(server), fd_(std::move(fd)), local_(local), loopback_(loopback) {
    watch_.handler = this;
    watch();
  }
  ~Listener() {
    if (!paused_.armed()) loop().poller().remove(fd_.get());
    while (AdminConnection* connection = connections_.front()) connection->close();
  }

  void on_io() override {
    auto accepted = accept_from(fd_.get());
    if (!accepted) {
      // Without a descriptor to accept with, who waits would wake every turn.
      const int sys = accepted.error().sys;
      if (sys != EMFILE && sys != ENFILE && sys != ENOBUFS && sys != ENOMEM) return;
      loop().poller().remove(fd_.get());
      loop().arm(paused_, kPause);
      return;
    }
    if (count_ >= kMostConnections && !make_room()) return;
    auto transport = Transport::make(server_.io_, std::move(accepted->fd), true);
    if (!transport) return;
    const Address peer = local_ ? Address() : accepted->peer;
    auto* connection = new AdminConnection(*this, std::move(*transport), peer);
    connections_.push_back(*connection);
    ++count_;
    connection->start();
  }

  AdminPlace place() const override {
    const config::Admin& admin = server_.control_.snapshot().config.gateway.admin;
    return {local_, loopback_, admin.token, admin.hosts};
  }

  void handle(const AdminPlace& place, const http::RequestHead& head, AdminRequest request,
              const Responder& responder) override {
    AdminTarget target;
    if (!parse_target(head.target, target)) return responder.answer(error_answer(400, "the target cannot be understood"));
    Router::Match match = server_.api_.router().find(head.method, target);
    if (match.route == nullptr) return responder.answer(match.refused);
    AdminNeed need = match.route->need;
    request.captures = std::move(match.captures);
    request.query = std::move(target.query);
    if (const auto etags = head.fields.find("If-None-Match")) request.if_none_match = *etags;
    if (need == AdminNeed::change_unless_dry_run)
      need = request.parameter("dry_run") == "true" ? AdminNeed::read : AdminNeed::change;
    if (auto refused = refuse_page(place, need, head)) return responder.answer(*refused);
    if (auto refused = refuse_access(place, need, head)) {
      tell_refused(*request.peer, *refused, !bearer_token(head.fields).empty());
      return responder.answer(*refused);
    }
    match.route->handler(request, responder);
  }

  void closed(AdminConnection&) override { --count_; }

 private:
  void on_deadline(Deadline&) override { watch(); }
  void watch() {
    if (auto added = loop().poller().add_level(fd_.get(), watch_, false); !added)
      log::error("admin: {}", added.error().text());
  }
  Loop& loop() { return server_.io_.loop; }

  // Who has asked nothing yet goes, the one that came first. False: all are busy.
  bool make_room() {
    for (AdminConnection* one = connections_.front(); one != nullptr; one = connections_.next(*one))
      if (one->idle()) {
        one->close();
        return true;
      }
    return false;
  }

  void tell_refused(const AdminPeer& peer, const AdminAnswer& answer, bool token_given) {
    const uint64_t now = loop().now();
    if (answer.status != 401 || !token_given || (told_ms_ != 0 && now - told_ms_ < kTellEveryMs)) return;
    told_ms_ = now;
    log::warn("admin: {} has given a wrong token", peer.text());
  }

  AdminServer& server_;
  UniqueFd fd_;
  Watch watch_;
  Deadline paused_{*this};
  List<AdminConnection> connections_;
  size_t count_ = 0;
  uint64_t told_ms_ = 0;
  const bool local_;
  const bool loopback_;
};

AdminServer::AdminServer(Control& control) : control_(control), io_(control.loop()), api_(control) {
  const config::Admin& admin = control.snapshot().config.gateway.admin;
  if (!admin.bind.empty()) listen(admin.bind);
  if (!admin.socket.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(admin.socket).parent_path(), ignored);
    const size_t before = listeners_.size();
    listen("unix:" + admin.socket);
    if (listeners_.size() > before) {
      chmod(admin.socket.c_str(), 0660);
      socket_path_ = admin.socket;
    }
  }
}

AdminServer::~AdminServer() {
  listeners_.clear();
  if (!socket_path_.empty()) {
    std::error_code ignored;
    std::filesystem::remove(socket_path_, ignored);
  }
  io_.loop.purge();
}

void AdminServer::listen(const std::string& text) {
  auto bind = config::parse_bind(text);
  if (!bind) {
    log::error("admin: {}: {}", text, bind.error().text());
    return;
  }
  ListenOptions options;
  options.reuse_port = false;
  options.v6_only = !bind->any;
  auto fd = listen_on(bind->any ? Address::any_v6(bind->address.port()) : bind->address, options);
  if (!fd) {
    log::warn("admin: cannot listen on {}: {}; `sallyport health` will not find this gateway there", text,
              fd.error().text());
    return;
  }
  const bool local = bind->address.family() == AF_UNIX;
  const bool loopback = !bind->any && bind->address.is_loopback();
  listeners_.push_back(std::make_unique<Listener>(*this, std::move(*fd), local, loopback));
}

}  // namespace sallyport
