// The protocols of lines: ssh, smtp, redis.
#include <algorithm>

#include "base/format.h"
#include "base/text.h"
#include "upstream/health_dialogs.h"

namespace sallyport {
namespace {

class LineDialog : public HealthDialog {
 protected:
  // Without its line end.
  virtual Verdict on_line(std::string_view line) = 0;

 private:
  Verdict next(Bytes seen, size_t& used) final {
    const std::string_view text = as_text(seen);
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return Verdict::need_more;
    used = end + 1;
    return on_line(text.substr(0, end > 0 && text[end - 1] == '\r' ? end - 1 : end));
  }
};

// RFC 4253 section 4.2: the server may send other lines before its banner.
class SshDialog final : public LineDialog {
  Verdict on_line(std::string_view line) override {
    if (line.starts_with("SSH-2.0-") || line.starts_with("SSH-1.99-")) {
      // Who leaves without a banner of its own is logged as an error by OpenSSH.
      say("SSH-2.0-sallyport-health\r\n");
      return pass();
    }
    if (line.starts_with("SSH-")) return fail(format("{} does not speak SSH 2", quoted_line(line)));
    if (first_line_.empty()) first_line_ = line;
    return Verdict::need_more;
  }
  Verdict closed() override {
    return first_line_.empty() ? HealthDialog::closed()
                               : fail(format("it closed without an SSH banner, after {}", quoted_line(first_line_)));
  }
  std::string first_line_;
};

// RFC 5321: the greeting, EHLO and its answer, QUIT. An answer may have several lines: "250-…", and "250 …" at its end.
class SmtpDialog final : public LineDialog {
  Verdict on_line(std::string_view line) override {
    const bool numbered = line.size() >= 3 && is_digit(line[0]) && is_digit(line[1]) && is_digit(line[2]) &&
                          (line.size() == 3 || line[3] == ' ' || line[3] == '-');
    if (!numbered) return fail(format("not an SMTP answer: {}", quoted_line(line)));
    if (line.size() > 3 && line[3] == '-') return Verdict::need_more;
    const std::string_view code = line.substr(0, 3);
    if (!greeted_) {
      if (code != "220") return fail(format("it greets with {}, expected 220", quoted_line(line)), true);
      greeted_ = true;
      say("EHLO localhost\r\n");
      return Verdict::need_more;
    }
    if (code != "250") return fail(format("EHLO is answered with {}, expected 250", quoted_line(line)), true);
    set_understood();
    say("QUIT\r\n");
    return pass();
  }
  Verdict fail(std::string reason, bool quit = false) {
    if (quit) say("QUIT\r\n");
    return HealthDialog::fail(std::move(reason));
  }
  bool greeted_ = false;
};

// RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/
class RedisDialog final : public LineDialog {
 public:
  explicit RedisDialog(const HealthQuestion& question) : rules_(question.rules) { set_tls_advice(question.tls_advice); }

 private:
  Verdict open() override {
    if (rules_.password.empty()) {
      command({"PING"});
    } else {
      logging_in_ = true;
      if (rules_.user.empty())
        command({"AUTH", rules_.password});
      else
        command({"AUTH", rules_.user, rules_.password});
    }
    return Verdict::need_more;
  }

  Verdict on_line(std::string_view line) override {
    if (line.starts_with("-")) return on_error(line.substr(1));
    if (logging_in_ && line == "+OK") {
      logging_in_ = false;
      set_understood();
      command({"PING"});
      return Verdict::need_more;
    }
    if (!logging_in_ && line == "+PONG") {
      command({"QUIT"});
      return pass();
    }
    return fail(format("{} is answered with {}", logging_in_ ? "AUTH" : "PING", quoted_line(line)));
  }

  Verdict on_error(std::string_view text) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (word == "NOAUTH" && rules_.password.empty()) {
      set_understood();
      return fail("this server wants a password");
    }
    if (word == "LOADING" || word == "WRONGPASS" || word == "MISCONF" || word == "NOAUTH") set_understood();
    if (word == "LOADING") return fail(format("it is not ready: {}", quoted_line(text)));
    return fail(format("{} is answered with the error {}", logging_in_ ? "AUTH" : "PING", quoted_line(text)));
  }

  void command(std::initializer_list<std::string_view> words) {
    say(format("*{}\r\n", words.size()));
    for (std::string_view word : words) say(format("${}\r\n{}\r\n", word.size(), word));
  }

  const config::Health& rules_;
  bool logging_in_ = false;
};

}  // namespace

std::unique_ptr<HealthDialog> make_ssh_dialog(const HealthQuestion&) { return std::make_unique<SshDialog>(); }
std::unique_ptr<HealthDialog> make_smtp_dialog(const HealthQuestion&) { return std::make_unique<SmtpDialog>(); }
std::unique_ptr<HealthDialog> make_redis_dialog(const HealthQuestion& question) {
  return std::make_unique<RedisDialog>(question);
}

}  // namespace sallyport
