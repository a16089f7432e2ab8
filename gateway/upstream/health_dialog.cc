#include "upstream/health_dialog.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "upstream/health_dialogs.h"
#include "upstream/protocol_hint.h"

namespace sallyport {
namespace {

constexpr size_t kShown = 80;

// That the connection stands, with TLS the handshake too, is all there is to know.
class SilentDialog final : public HealthDialog {
  Verdict open() override { return pass(); }
  Verdict next(Bytes, size_t&) override { return pass(); }
};

}  // namespace

std::string quoted_line(std::string_view text) {
  const size_t end = text.find_first_of("\r\n");
  std::string out = "\"";
  append_escaped(out, end == 0 || end == std::string_view::npos ? text : text.substr(0, end), kShown);
  out += '"';
  return out;
}

HealthDialog::Verdict HealthDialog::fail(std::string reason) {
  reason_ = std::move(reason);
  return Verdict::failed;
}

HealthDialog::Verdict HealthDialog::stranger(Bytes seen, std::string_view expected) {
  const std::string_view text = as_text(seen);
  const size_t end = text.find('\n');
  if (end == std::string_view::npos && text.size() < kShown) return Verdict::need_more;
  return fail(format("not {}: {}", expected, quoted_line(text.substr(0, std::min(end, kShown)))));
}

HealthDialog::Verdict HealthDialog::start() { return verdict_ = open(); }

void HealthDialog::step() {
  const Bytes all = as_bytes(seen_);
  if (first_ && !tls_advice_.empty()) {
    if (is_tls_alert(all)) {
      verdict_ = fail(std::string(tls_advice_));
      return;
    }
    if (may_become_tls_alert(all)) return;
  }
  size_t at = 0;
  while (at < all.size() && verdict_ == Verdict::need_more) {
    size_t used = 0;
    verdict_ = next(all.subspan(at), used);
    if (used == 0) break;
    at += used;
    first_ = false;
  }
  seen_.erase(0, at);
}

HealthDialog::Verdict HealthDialog::feed(Bytes bytes) {
  if (verdict_ != Verdict::need_more) return verdict_;
  // The bound cuts at the same byte however they came.
  const Bytes taken = bytes.first(std::min(bytes.size(), left_));
  left_ -= taken.size();
  seen_ += as_text(taken);
  step();
  if (verdict_ == Verdict::need_more && left_ == 0) verdict_ = over();
  return verdict_;
}

HealthDialog::Verdict HealthDialog::end() {
  if (verdict_ == Verdict::need_more) verdict_ = closed();
  return verdict_;
}

HealthDialog::Verdict HealthDialog::closed() {
  if (!seen_.empty()) return fail("it closed after " + quoted_line(seen_));
  return fail(first_ ? "it closed without an answer" : "it closed in the middle of the dialog");
}

HealthDialog::Verdict HealthDialog::over() { return fail(format("an answer of over {} KiB", kMostBytes / 1024)); }

std::unique_ptr<HealthDialog> make_health_dialog(const HealthQuestion& question) {
  using Type = config::Health::Type;
  switch (question.rules.type) {
    case Type::http:
    case Type::https: return make_http_dialog(question);
    case Type::ssh: return make_ssh_dialog(question);
    case Type::smtp: return make_smtp_dialog(question);
    case Type::mysql: return make_mysql_dialog(question);
    case Type::postgres: return make_postgres_dialog(question);
    case Type::redis: return make_redis_dialog(question);
    case Type::automatic:
    case Type::off:
    case Type::tcp:
    case Type::tls: break;
  }
  return std::make_unique<SilentDialog>();
}

}  // namespace sallyport
