#include "admin/admin_server.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/log.h"
#include "config/values.h"
#include "http/h1_reader.h"
#include "http/h1_writer.h"
#include "metrics/exporter.h"
#include "net/socket.h"

namespace sallyport {
namespace {

constexpr size_t kMostConnections = 64;
constexpr std::chrono::milliseconds kIdle{10'000};

}  // namespace

// One client: requests one after the other, small ones.
class AdminServer::Connection final : public IoHandler,
                                      public Doomed,
                                      public ListHook<Connection>,
                                      private Deadline::Owner {
 public:
  Connection(AdminServer& server, TransportPtr transport)
      : server_(server), transport_(std::move(transport)), deadline_(*this) {
    transport_->set_handler(this);
    server_.io_.loop.arm(deadline_, kIdle);
  }

  void on_io() override {
    for (;;) {
      if (!transport_->flush()) return close();
      if (transport_->write_ended()) return close();
      switch (transport_->read()) {
        case Transport::Read::again: return;
        case Transport::Read::eof:
        case Transport::Read::failed: return close();
        case Transport::Read::data:
          input_.append(as_text(transport_->bytes()));
          server_.io_.loop.arm(deadline_, kIdle);
          if (!process()) return close();
          break;
      }
    }
  }

  void close() {
    if (!transport_) return;
    transport_.reset();
    deadline_.disarm();
    static_cast<ListHook<Connection>&>(*this).unlink();
    --server_.connection_count_;
    server_.io_.loop.bury(std::unique_ptr<Doomed>(this));
  }

 private:
  void on_deadline(Deadline&) override { close(); }

  // False: the connection is of no more use.
  bool process() {
    Bytes input = as_bytes(input_);
    for (;;) {
      switch (reader_.next(input, request_, trailers_)) {
        case http::H1Event::need_more: input_ = std::string(as_text(input)); return true;
        case http::H1Event::head:
        case http::H1Event::body: break;
        case http::H1Event::complete: respond(server_.answer(request_.method, std::string(request_.path()))); break;
        case http::H1Event::error:
          request_.keep_alive = false;
          respond({reader_.failure().status, "text/plain; charset=utf-8", std::string(reader_.failure().why) + "\n"});
          input_.clear();
          return true;
      }
    }
  }

  void respond(const Answer& answer) {
    http::ResponseHead head;
    head.status = answer.status;
    head.reason = http::reason_phrase(answer.status);
    head.fields.add("Date", http::http_date());
    head.fields.add("Content-Type", answer.type);
    head.fields.add("Cache-Control", "no-store");
    head.fields.add("X-Content-Type-Options", "nosniff");
    head.body = http::Body::sized;
    head.content_length = answer.body.size();
    std::string out;
    append_response_head(out, head, {.close = !request_.keep_alive, .http10 = request_.version_minor == 0});
    if (!request_.is_head()) out += answer.body;
    transport_->write(as_bytes(out));
    if (!request_.keep_alive) transport_->end_write();
  }

  AdminServer& server_;
  TransportPtr transport_;
  Deadline deadline_;
  http::H1RequestReader reader_;
  http::RequestHead request_;
  http::HeaderList trailers_;
  std::string input_;
};

class AdminServer::Acceptor final : public IoHandler {
 public:
  Acceptor(AdminServer& server, UniqueFd fd) : server_(server), fd_(std::move(fd)) {
    watch_.handler = this;
    if (auto added = server_.io_.loop.poller().add_level(fd_.get(), watch_, false); !added)
      log::error("admin: {}", added.error().text());
  }
  ~Acceptor() { server_.io_.loop.poller().remove(fd_.get()); }

  void on_io() override {
    auto accepted = accept_from(fd_.get());
    if (!accepted) return;
    if (server_.connection_count_ >= kMostConnections) server_.connections_.front()->close();
    auto transport = Transport::make(server_.io_, std::move(accepted->fd), true);
    if (!transport) return;
    auto* connection = new Connection(server_, std::move(*transport));
    server_.connections_.push_back(*connection);
    ++server_.connection_count_;
    connection->on_io();
  }

 private:
  AdminServer& server_;
  UniqueFd fd_;
  Watch watch_;
};

AdminServer::AdminServer(Control& control) : control_(control), io_(control.loop()) {
  const config::Admin& admin = control.snapshot().config.gateway.admin;
  if (!admin.bind.empty()) listen(admin.bind);
  if (!admin.socket.empty()) {
    std::error_code ignored;
    std::filesystem::create_directories(std::filesystem::path(admin.socket).parent_path(), ignored);
    listen("unix:" + admin.socket);
    if (!acceptors_.empty()) chmod(admin.socket.c_str(), 0660);
    socket_path_ = admin.socket;
  }
}

AdminServer::~AdminServer() {
  while (Connection* connection = connections_.front()) connection->close();
  acceptors_.clear();
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
  acceptors_.push_back(std::make_unique<Acceptor>(*this, std::move(*fd)));
}

AdminServer::Answer AdminServer::answer(const std::string& method, const std::string& path) const {
  if (method != "GET" && method != "HEAD") return {405, "text/plain; charset=utf-8", "only GET and HEAD\n"};
  if (path == "/health") {
    if (control_.draining()) return {503, "text/plain; charset=utf-8", "draining\n"};
    return {control_.serving() ? 200 : 503, "text/plain; charset=utf-8",
            control_.serving() ? "serving\n" : "starting\n"};
  }
  if (path == "/metrics") {
    std::vector<const Counters*> counters;
    for (const auto& worker : control_.workers()) counters.push_back(&worker->counters());
    std::vector<ServerState> servers;
    for (const auto& service : control_.snapshot().services) {
      if (!service->upstream) continue;
      for (const auto& endpoint : service->upstream->endpoints)
        if (endpoint->has_address() || endpoint->place() == Endpoint::kNoPlace)
          servers.push_back({service->config.name, endpoint->label(), endpoint->health.usable()});
    }
    return {200, "text/plain; version=0.0.4; charset=utf-8", export_metrics(counters, log::dropped(), servers)};
  }
  return {404, "text/plain; charset=utf-8", "there is /health and /metrics\n"};
}

}  // namespace sallyport
