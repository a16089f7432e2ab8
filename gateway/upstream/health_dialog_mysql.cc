// mysql: the server's greeting, and a login. Also MariaDB, Percona.
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
//
// A greeting alone would do to see that a server lives. But who leaves after it is counted as a failed handshake, and
// after max_connect_errors of those (100) the server locks this host out, traffic and all. So a check without a user
// goes on as a user of no rights, "sallyport", and the refusal ends it in good order.
#include <algorithm>
#include <optional>
#include <utility>

#include "base/format.h"
#include "base/text.h"
#include "transport/crypto.h"
#include "transport/login_crypto.h"
#include "upstream/health_dialogs.h"

namespace sallyport {
namespace {

constexpr uint32_t kLongPassword = 1;
constexpr uint32_t kProtocol41 = 0x200;
constexpr uint32_t kSecureConnection = 0x8000;
constexpr uint32_t kPluginAuth = 0x80000;
constexpr size_t kScramble = 20;
constexpr size_t kMostPacket = 16 * 1024;
constexpr std::string_view kNative = "mysql_native_password";
constexpr std::string_view kCachingSha2 = "caching_sha2_password";

// Errors that concern everybody, whoever asked: too many connections, shutting down, this host locked out or not
// allowed, and a login that was not understood.
constexpr uint16_t kBadHandshake = 1043;
constexpr uint16_t kPacketsOutOfOrder = 1156;
constexpr uint16_t kForEverybody[] = {1040, kBadHandshake, 1053, 1129, 1130, kPacketsOutOfOrder, 1203};

std::string exclusive_or(std::string_view a, std::string_view b) {
  std::string out(a);
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(out[i] ^ b[i % b.size()]);
  return out;
}

std::string sha1_text(std::string_view bytes) {
  const auto digest = sha1(as_bytes(bytes));
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

struct Greeting {
  uint32_t capabilities = 0;
  std::string scramble;
  std::string plugin;
};

// HandshakeV10.
std::optional<Greeting> read_greeting(Bytes body) {
  std::string_view text = as_text(body);
  const size_t version_end = text.find('\0', 1);
  if (body.empty() || body[0] != 10 || version_end == std::string_view::npos) return std::nullopt;
  text.remove_prefix(version_end + 1);
  constexpr size_t kFixed = 4 + 8 + 1 + 2;
  if (text.size() < kFixed) return std::nullopt;
  const auto byte = [&](size_t at) { return static_cast<uint32_t>(static_cast<uint8_t>(text[at])); };
  Greeting out;
  out.scramble = text.substr(4, 8);
  out.capabilities = byte(13) | byte(14) << 8;
  constexpr size_t kMore = 1 + 2 + 2 + 1 + 10;  // character set, status, the rest of capabilities, length, reserved
  if (text.size() < kFixed + kMore) return out;
  out.capabilities |= byte(18) << 16 | byte(19) << 24;
  text.remove_prefix(kFixed + kMore);
  const size_t second = std::min(text.size(), kScramble - 8);
  out.scramble += text.substr(0, second);
  text.remove_prefix(std::min(text.size(), second + 1));  // it ends with a NUL
  out.plugin = text.substr(0, text.find('\0'));
  return out;
}

class MysqlDialog final : public HealthDialog {
 public:
  explicit MysqlDialog(const HealthQuestion& question) : rules_(question.rules) { set_tls_advice(question.tls_advice); }

 private:
  bool logs_in() const noexcept { return !rules_.user.empty(); }

  Verdict next(Bytes seen, size_t& used) override {
    if (seen.size() < 4) return Verdict::need_more;
    const size_t length = seen[0] | static_cast<size_t>(seen[1]) << 8 | static_cast<size_t>(seen[2]) << 16;
    if (length == 0 || length > kMostPacket) return stranger(seen, "a MySQL packet");
    if (seen.size() < 4 + length) return Verdict::need_more;
    used = 4 + length;
    sequence_ = static_cast<uint8_t>(seen[3] + 1);
    const Bytes body = seen.subspan(4, length);
    if (body[0] == 0xff) return on_error(body);
    if (!greeted_) return on_greeting(body);
    switch (body[0]) {
      case 0x00: return done();
      case 0xfe: return on_switch(body);
      case 0x01: return on_more(as_text(body.subspan(1)));
      default: return fail("a login packet that MySQL does not have");
    }
  }

  Verdict on_greeting(Bytes body) {
    auto greeting = read_greeting(body);
    if (!greeting) return fail("a greeting that MySQL does not have");
    greeted_ = true;
    if ((greeting->capabilities & kProtocol41) == 0 || (greeting->capabilities & kSecureConnection) == 0)
      return fail("this server is older than MySQL 4.1");
    scramble_ = std::move(greeting->scramble);
    const bool plugins = (greeting->capabilities & kPluginAuth) != 0;
    plugin_ = plugins && !greeting->plugin.empty() ? greeting->plugin : std::string(kNative);
    auto proof = proof_of(plugin_);
    if (!proof) {  // the server's default, not this user's: it asks for what it needs
      plugin_ = kNative;
      proof = proof_of(plugin_);
    }
    std::string packet;
    const uint32_t flags = kLongPassword | kProtocol41 | kSecureConnection | (plugins ? kPluginAuth : 0);
    for (int shift = 0; shift < 32; shift += 8) packet.push_back(static_cast<char>(flags >> shift & 0xff));
    packet.append("\0\0\0\x01", 4);           // the longest packet: 16 MiB
    packet.push_back(static_cast<char>(45));  // utf8mb4
    packet.append(23, '\0');
    packet.append(logs_in() ? std::string_view(rules_.user) : "sallyport").push_back('\0');
    packet.push_back(static_cast<char>(proof ? proof->size() : 0));
    if (proof) packet += *proof;
    if (plugins) packet.append(plugin_).push_back('\0');
    say_packet(packet);
    return Verdict::need_more;
  }

  // What shows that we know the password, without telling it; nullopt: not a plugin of ours.
  std::optional<std::string> proof_of(std::string_view plugin) const {
    if (!logs_in() || rules_.password.empty()) return std::string();
    if (scramble_.empty()) return std::nullopt;
    if (plugin == kNative) {
      const std::string once = sha1_text(rules_.password);
      return exclusive_or(once, sha1_text(scramble_ + sha1_text(once)));
    }
    if (plugin == kCachingSha2) {
      const std::string once = sha256(rules_.password);
      return exclusive_or(once, sha256(sha256(once) + scramble_));
    }
    return std::nullopt;
  }

  // AuthSwitchRequest.
  Verdict on_switch(Bytes body) {
    std::string_view text = as_text(body.subspan(1));
    const size_t end = text.find('\0');
    if (end == std::string_view::npos) return fail("this server wants the old password hash of MySQL 3.23");
    if (++switches_ > 2) return fail("this server does not make up its mind how to log in");
    plugin_ = text.substr(0, end);
    scramble_ = text.substr(end + 1, kScramble);
    const auto proof = proof_of(plugin_);
    if (!proof)
      return fail(format("the user {} logs in with {}, which checks do not have", quoted_line(rules_.user),
                         quoted_line(plugin_)));
    say_packet(*proof);
    return Verdict::need_more;
  }

  // AuthMoreData of caching_sha2_password: known from an earlier login; or the password itself is wanted, which goes
  // encrypted for the server's key.
  Verdict on_more(std::string_view data) {
    if (data == "\x03") return Verdict::need_more;
    if (plugin_ != kCachingSha2) return logs_in() ? fail("a login packet that MySQL does not have") : pass();
    if (data == "\x04") {
      if (rules_.password.empty()) return logs_in() ? fail("this server wants a password") : pass();
      key_asked_ = true;
      say_packet("\x02");
      return Verdict::need_more;
    }
    std::string secret = rules_.password;
    secret.push_back('\0');
    if (!std::exchange(key_asked_, false) || scramble_.empty()) return fail("a login packet that MySQL does not have");
    const auto encrypted = rsa_oaep(data, exclusive_or(secret, scramble_));
    if (!encrypted) return fail("the server's key for passwords cannot be used");
    say_packet(*encrypted);
    return Verdict::need_more;
  }

  Verdict on_error(Bytes body) {
    std::string_view text = as_text(body.subspan(1));
    if (text.size() < 2) return fail("an error packet that MySQL does not have");
    const auto code = static_cast<uint16_t>(body[1] | body[2] << 8);
    text.remove_prefix(2);
    if (text.starts_with('#')) text.remove_prefix(std::min<size_t>(text.size(), 6));  // SQLSTATE
    const bool for_everybody =
        std::find(std::begin(kForEverybody), std::end(kForEverybody), code) != std::end(kForEverybody);
    // A user who does not exist is refused by a server that works.
    if (greeted_ && !logs_in() && !for_everybody) return pass();
    if (code != kBadHandshake && code != kPacketsOutOfOrder) set_understood();
    std::string reason = format("MySQL error {}: ", code);
    append_escaped(reason, text, 160);
    return fail(std::move(reason));
  }

  Verdict done() {
    set_understood();
    sequence_ = 0;       // each command begins anew
    say_packet("\x01");  // COM_QUIT
    return pass();
  }

  // The greeting was there; nobody's login is no matter.
  Verdict closed() override { return greeted_ && !logs_in() ? pass() : HealthDialog::closed(); }

  void say_packet(std::string_view body) {
    std::string out;
    for (int shift = 0; shift < 24; shift += 8) out.push_back(static_cast<char>(body.size() >> shift & 0xff));
    out.push_back(static_cast<char>(sequence_));
    say(out.append(body));
  }

  const config::Health& rules_;
  std::string scramble_;
  std::string plugin_;
  uint8_t sequence_ = 0;
  uint8_t switches_ = 0;
  bool greeted_ = false;
  bool key_asked_ = false;
};

}  // namespace

std::unique_ptr<HealthDialog> make_mysql_dialog(const HealthQuestion& question) {
  return std::make_unique<MysqlDialog>(question);
}

}  // namespace sallyport
