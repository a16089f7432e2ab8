// http and https: one request, and what came back.
#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "http/h1_reader.h"
#include "upstream/health_dialogs.h"
#include "upstream/protocol_hint.h"

namespace sallyport {
namespace {

constexpr size_t kBodySearched = 1024 * 1024;
constexpr size_t kBodyForHint = 4 * 1024;  // a page that says "400" is short

class HttpDialog final : public HealthDialog {
 public:
  explicit HttpDialog(const HealthQuestion& question)
      : HealthDialog(kMostBytes + (question.rules.body.empty() ? kBodyForHint : kBodySearched)),
        rules_(question.rules),
        host_(question.host) {
    set_tls_advice(question.tls_advice);
    reader_.expect(rules_.method == "HEAD");
  }

 private:
  Verdict open() override {
    // A server that waits for a body after POST gets an empty one.
    const bool has_body = rules_.method == "POST" || rules_.method == "PUT" || rules_.method == "PATCH";
    say(format(
        "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: sallyport-health\r\nAccept: */*\r\n{}Connection: close\r\n\r\n",
        rules_.method, rules_.path, host_, has_body ? "Content-Length: 0\r\n" : ""));
    return Verdict::need_more;
  }

  Verdict next(Bytes seen, size_t& used) override {
    Bytes input = seen;
    Verdict verdict = Verdict::need_more;
    // An event may take no byte: the end of a message without content.
    for (bool more = true; more && verdict == Verdict::need_more;) {
      const http::H1Event event = reader_.next(input, head_, trailers_);
      switch (event) {
        case http::H1Event::need_more: more = false; break;
        case http::H1Event::head: verdict = on_head(); break;
        case http::H1Event::body: verdict = on_body(as_text(reader_.body())); break;
        case http::H1Event::complete: verdict = head_.interim() ? Verdict::need_more : finish(); break;
        case http::H1Event::error:
          verdict = on_error(input);
          more = false;
          break;
      }
    }
    used = seen.size() - input.size();
    return verdict;
  }

  Verdict on_head() {
    has_head_ = !head_.interim();
    if (!has_head_) return Verdict::need_more;
    // What a PROXY header looks like to an HTTP server is a bad request.
    if (head_.status != 400) set_understood();
    if (head_.status == 101) return expected() && rules_.body.empty() ? pass() : wrong_status();
    if (expected()) return rules_.body.empty() ? pass() : Verdict::need_more;
    return head_.status == 400 && !tls_advice().empty() ? Verdict::need_more : wrong_status();
  }

  Verdict on_body(std::string_view piece) {
    if (!has_head_) return Verdict::need_more;
    const size_t most = expected() ? kBodySearched : kBodyForHint;
    const size_t needle = rules_.body.size();
    const size_t from = body_.size() >= needle && needle > 0 ? body_.size() - needle + 1 : 0;
    body_ += piece.substr(0, most - body_.size());
    if (expected() && body_.find(rules_.body, from) != std::string::npos) return pass();
    return body_.size() < most ? Verdict::need_more : finish();
  }

  // Before a head: bytes of another protocol, or of a server that nobody understands.
  Verdict on_error(Bytes input) {
    if (has_head_)
      return expected() ? fail(format("an answer that is not valid HTTP: {}", reader_.failure().why)) : finish();
    static constexpr std::string_view kStart = "HTTP/";
    const std::string_view text = as_text(input);
    if (text.starts_with(kStart)) return fail(format("an answer that is not valid HTTP: {}", reader_.failure().why));
    return stranger(input, "an HTTP answer");
  }

  // The answer is over, or as much of it as is looked at.
  Verdict finish() {
    if (!expected())
      return hint_of_response(head_.status, body_) == ProtocolHint::speaks_tls && !tls_advice().empty()
                 ? fail(std::string(tls_advice()))
                 : wrong_status();
    return fail(format("status {}, but no {} in {}", head_.status, quoted_line(rules_.body),
                       body_.size() < kBodySearched ? "its body" : "the first MiB of its body"));
  }

  Verdict closed() override {
    if (!has_head_) return HealthDialog::closed();
    if (reader_.end_of_input() == http::H1Event::complete || !expected()) return finish();
    return fail("it closed in the middle of its answer");
  }

  Verdict over() override { return has_head_ ? finish() : HealthDialog::over(); }

  bool expected() const noexcept {
    if (rules_.expect.empty()) return head_.status >= 200 && head_.status <= 399;
    return std::any_of(rules_.expect.begin(), rules_.expect.end(), [this](const auto& range) {
      return head_.status >= range.first && head_.status <= range.second;
    });
  }

  Verdict wrong_status() {
    std::string ranges;
    for (const auto& [from, to] : rules_.expect) {
      if (!ranges.empty()) ranges += ", ";
      ranges += from == to ? format("{}", from) : format("{}-{}", from, to);
    }
    return fail(format("status {}, expected {}", head_.status, ranges.empty() ? "200-399" : ranges));
  }

  const config::Health& rules_;
  std::string host_;
  http::H1ResponseReader reader_;
  http::ResponseHead head_;
  http::HeaderList trailers_;
  std::string body_;
  bool has_head_ = false;  // of the final answer
};

}  // namespace

std::unique_ptr<HealthDialog> make_http_dialog(const HealthQuestion& question) {
  return std::make_unique<HttpDialog>(question);
}

}  // namespace sallyport
