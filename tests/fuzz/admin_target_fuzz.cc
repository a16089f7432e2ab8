// folders: admin
#include <string>
#include <vector>

#include "admin/json.h"
#include "admin/router.h"
#include "expect.h"

using namespace sallyport;

namespace {

const Router& router() {
  static const Router kRouter = [] {
    Router out;
    out.add({"GET", "/", AdminNeed::nothing, {}, {}});
    out.add({"GET", "/api/v1/services/{}", AdminNeed::read, {"limit"}, {}});
    out.add({"PATCH", "/api/v1/servers/{}/{}", AdminNeed::change, {}, {}});
    return out;
  }();
  return kRouter;
}

}  // namespace

// A request's target, and a body, from whoever can reach the admin interface: taken apart or refused; what was taken apart and is
// put together again is the same; every answer is JSON.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  FUZZ_EXPECT(!text_of(parse_json(text)).empty());
  AdminTarget target;
  if (!parse_target(text, target)) return 0;
  FUZZ_EXPECT(!target.parts.empty());
  std::string again;
  for (const std::string& part : target.parts) again += "/" + percent_encoded(part);
  for (size_t i = 0; i < target.query.size(); ++i)
    again += (i == 0 ? "?" : "&") + percent_encoded(target.query[i].first) + "=" + percent_encoded(target.query[i].second);
  AdminTarget second;
  FUZZ_EXPECT(parse_target(again, second));
  FUZZ_EXPECT(second.parts == target.parts && second.query == target.query);
  for (const char* method : {"GET", "HEAD", "PATCH", "POST"}) {
    const Router::Match match = router().find(method, target);
    if (match.route == nullptr) {
      FUZZ_EXPECT(match.refused.status >= 400 && parse_json(match.refused.body).contains("error"));
    } else {
      for (const std::string& capture : match.captures) FUZZ_EXPECT(!capture.empty());
    }
  }
  return 0;
}
