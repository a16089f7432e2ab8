// postgres: a start-up packet, and the login as far as the check has a user for it.
// https://www.postgresql.org/docs/current/protocol-flow.html and protocol-message-formats.html
#include <optional>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "transport/login_crypto.h"
#include "upstream/health_dialogs.h"
#include "upstream/scram.h"

namespace sallyport {
namespace {

constexpr size_t kMostMessage = 32 * 1024;
constexpr std::string_view kTypes = "RENvSKZ";  // all a server may send before the first query

void append_u32(std::string& out, size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift & 0xff));
}

uint32_t u32_at(Bytes bytes, size_t at) noexcept {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | bytes[at + i];
  return value;
}

// The text of one field of an ErrorResponse: 'C' is the SQLSTATE, 'M' the message.
std::string_view field_of(Bytes body, char wanted) noexcept {
  std::string_view text = as_text(body);
  while (!text.empty() && text.front() != '\0') {
    const char type = text.front();
    const size_t end = text.find('\0', 1);
    if (end == std::string_view::npos) return {};
    if (type == wanted) return text.substr(1, end - 1);
    text.remove_prefix(end + 1);
  }
  return {};
}

const char* name_of_method(uint32_t method) noexcept {
  switch (method) {
    case 2: return "Kerberos";
    case 7: return "GSSAPI";
    case 9: return "SSPI";
    default: return "an unknown one";
  }
}

class PostgresDialog final : public HealthDialog {
 public:
  explicit PostgresDialog(const HealthQuestion& question) : rules_(question.rules), nonce_(question.nonce) {
    set_tls_advice(question.tls_advice);
  }

 private:
  bool logs_in() const noexcept { return !rules_.user.empty(); }

  Verdict open() override {
    std::string parameters;
    const auto add = [&](std::string_view name, std::string_view value) {
      parameters.append(name).push_back('\0');
      parameters.append(value).push_back('\0');
    };
    add("user", logs_in() ? std::string_view(rules_.user) : "sallyport");
    // Not the one named after the user, which rarely exists.
    add("database", "postgres");
    add("application_name", "sallyport-health");
    parameters.push_back('\0');
    std::string packet;
    append_u32(packet, 8 + parameters.size());
    append_u32(packet, 196608);  // protocol 3.0
    say(packet + parameters);
    return Verdict::need_more;
  }

  Verdict next(Bytes seen, size_t& used) override {
    if (kTypes.find(static_cast<char>(seen[0])) == std::string_view::npos) return stranger(seen, "a PostgreSQL answer");
    if (seen.size() < 5) return Verdict::need_more;
    const uint32_t length = u32_at(seen, 1);
    if (length < 4 || length > kMostMessage) return stranger(seen, "a PostgreSQL answer");
    if (seen.size() < 1 + length) return Verdict::need_more;
    used = 1 + length;
    const Bytes body = seen.subspan(5, length - 4);
    switch (seen[0]) {
      case 'R': return on_authentication(body);
      case 'E': return on_error(body);
      case 'Z': say_terminate(); return pass();
      default: return Verdict::need_more;  // parameters, notices
    }
  }

  Verdict on_authentication(Bytes body) {
    set_understood();
    if (body.size() < 4) return fail("a malformed authentication request");
    const uint32_t method = u32_at(body, 0);
    if (!logs_in()) {
      // It accepts connections, and that is all that was asked. A server that waits for a password takes the end of the
      // connection for a client that asks its user; any other goodbye would be an error in its log.
      if (method == 0) say_terminate();
      return pass();
    }
    if (method == 0) return Verdict::need_more;  // ready, or what else it is, comes next
    const bool by_password = method == 3 || method == 5 || method == 10;
    if (by_password && rules_.password.empty()) return fail("this server wants a password");
    switch (method) {
      case 3: return password(rules_.password);
      case 5:
        if (body.size() != 8) return fail("a malformed authentication request");
        return password("md5" +
                        md5_hex(md5_hex(rules_.password + rules_.user) + std::string(as_text(body.subspan(4)))));
      case 10: return scram_ ? fail("a malformed authentication request") : begin_scram(as_text(body.subspan(4)));
      case 11: {
        // Once: the work is the server's to ask for.
        if (!scram_ || std::exchange(scram_answered_, true)) return fail("a malformed authentication request");
        const std::string answer = scram_->final(as_text(body.subspan(4)));
        if (answer.empty()) return fail(scram_->why());
        message('p', answer);
        return Verdict::need_more;
      }
      case 12:
        if (scram_ && scram_->verify(as_text(body.subspan(4)))) return Verdict::need_more;
        return fail(scram_ ? scram_->why() : "a malformed authentication request");
      default: return fail(format("it wants an authentication that checks do not have: {}", name_of_method(method)));
    }
  }

  Verdict begin_scram(std::string_view mechanisms) {
    bool offered = false;
    while (!mechanisms.empty() && mechanisms.front() != '\0') {
      const size_t end = mechanisms.find('\0');
      if (mechanisms.substr(0, end) == "SCRAM-SHA-256") offered = true;
      if (end == std::string_view::npos) break;
      mechanisms.remove_prefix(end + 1);
    }
    if (!offered) return fail("it wants an authentication that checks do not have: not SCRAM-SHA-256");
    // The name in the start-up packet counts; this one is ignored.
    scram_.emplace("", rules_.password, nonce_);
    const std::string first = scram_->first();
    std::string body = "SCRAM-SHA-256";
    body.push_back('\0');
    append_u32(body, first.size());
    message('p', body + first);
    return Verdict::need_more;
  }

  Verdict on_error(Bytes body) {
    const std::string_view state = field_of(body, 'C');
    // Class 28: this user is not let in, which only a server in order can say. 3D000, 42501: nor into that database.
    if (!logs_in() && (state.starts_with("28") || state == "3D000")) return pass();
    if (logs_in() && understood() && (state == "3D000" || state == "42501")) return pass();
    if (!state.empty()) set_understood();
    std::string reason = "PostgreSQL error ";
    append_escaped(reason, state, 5);
    reason += ": ";
    append_escaped(reason, field_of(body, 'M'), 160);
    return fail(std::move(reason));
  }

  Verdict password(std::string_view text) {
    std::string body(text);
    body.push_back('\0');
    message('p', body);
    return Verdict::need_more;
  }

  void message(char type, std::string_view body) {
    std::string out(1, type);
    append_u32(out, 4 + body.size());
    say(out.append(body));
  }
  void say_terminate() { message('X', {}); }

  const config::Health& rules_;
  std::string nonce_;
  std::optional<ScramClient> scram_;
  bool scram_answered_ = false;
};

}  // namespace

std::unique_ptr<HealthDialog> make_postgres_dialog(const HealthQuestion& question) {
  return std::make_unique<PostgresDialog>(question);
}

}  // namespace sallyport
