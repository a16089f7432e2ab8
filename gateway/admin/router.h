// Which handler a request goes to.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/auth.h"
#include "admin/request.h"
#include "admin/responder.h"
#include "admin/target.h"

namespace sallyport {

class Router {
 public:
  using Handler = std::function<void(const AdminRequest&, const Responder&)>;
  struct Route {
    std::string_view method;  // GET answers HEAD as well
    std::string_view pattern;  // "/api/v1/servers/{}/{}"
    AdminNeed need = AdminNeed::read;
    std::vector<std::string_view> parameters;  // that it knows
    Handler handler;
  };
  void add(Route route) { routes_.push_back(std::move(route)); }

  struct Match {
    const Route* route = nullptr;  // null: refused tells
    std::vector<std::string> captures;
    AdminAnswer refused;
  };
  Match find(std::string_view method, const AdminTarget& target) const;

 private:
  std::vector<Route> routes_;
};

// A handler that has its answer at once.
template <class F>
Router::Handler at_once(F f) {
  return [f](const AdminRequest& request, const Responder& responder) { responder.answer(f(request)); };
}

}  // namespace sallyport
