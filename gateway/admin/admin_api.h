// What the admin interface can do: docs/admin-api.md, as routes. On the control thread.
#pragma once
#include <cstdint>

#include "admin/certificates_json.h"
#include "admin/events.h"
#include "admin/history.h"
#include "admin/router.h"
#include "admin/sampler.h"
#include "admin/session_list.h"
#include "runtime/control.h"

namespace sallyport {

class AdminApi {
 public:
  explicit AdminApi(Control& control);
  AdminApi(const AdminApi&) = delete;
  AdminApi& operator=(const AdminApi&) = delete;
  const Router& router() const noexcept { return router_; }

 private:
  void add_pages();
  void add_reading();
  void add_changing();

  AdminAnswer health() const;
  Json status() const;
  AdminAnswer services(const AdminRequest& request) const;
  AdminAnswer one_service(const AdminRequest& request) const;
  AdminAnswer servers(const AdminRequest& request) const;
  void sessions(const AdminRequest& request, const Responder& responder);
  AdminAnswer sticky(const AdminRequest& request) const;
  AdminAnswer history(const AdminRequest& request) const;
  void events(const Responder& responder);

  void reload(const AdminRequest& request, const Responder& responder);
  AdminAnswer change_server(const AdminRequest& request);
  void kill(const AdminRequest& request, const Responder& responder);
  AdminAnswer forget_sticky(const AdminRequest& request);
  AdminAnswer log_level(const AdminRequest& request);

  Control& control_;
  Router router_;
  History history_;
  Events events_;
  Sampler sampler_;
  SessionLister sessions_;
  CertificatesJson certificates_;
  const int64_t started_;
  bool reloading_ = false;
  bool previewing_ = false;
};

}  // namespace sallyport
