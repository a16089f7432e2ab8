// What a check says to a server, and what it makes of the answers: bytes in, bytes out, no sockets. However the
// server's bytes are cut, the verdict, the reason and what is said are the same.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "config/model.h"

namespace sallyport {

// One conversation. Owned by its check; single-threaded; of no more use once it has a verdict.
class HealthDialog {
 public:
  enum class Verdict : uint8_t { need_more, passed, failed };
  // Of all answers together; the content of an HTTP answer has a bound of its own.
  static constexpr size_t kMostBytes = 64 * 1024;

  virtual ~HealthDialog() = default;
  HealthDialog(const HealthDialog&) = delete;
  HealthDialog& operator=(const HealthDialog&) = delete;

  // Once, when the connection stands (with TLS: after the handshake).
  Verdict start();
  // What has arrived. After a verdict further bytes change nothing.
  Verdict feed(Bytes bytes);
  // The server has ended its side in good order: always a verdict.
  Verdict end();

  // To be sent now; after a verdict it is the goodbye.
  std::string take_output() noexcept { return std::exchange(out_, {}); }
  // Of a failure: one clear line, what the server said is escaped in it.
  const std::string& reason() const noexcept { return reason_; }
  // Not dealt with yet: the beginning of an answer. For telling what there was when the time is over.
  std::string_view unfinished() const noexcept { return seen_; }
  // The server's answers show that it takes what it was sent: a PROXY header is not what it stumbled over.
  bool understood() const noexcept { return understood_; }

 protected:
  explicit HealthDialog(size_t most = kMostBytes) noexcept : left_(most) {}

  // Says what comes first.
  virtual Verdict open() { return Verdict::need_more; }
  // Deals with one whole answer at the beginning of `seen` (never empty) and tells its length, or asks for more.
  virtual Verdict next(Bytes seen, size_t& used) = 0;
  virtual Verdict closed();
  // More than the bound.
  virtual Verdict over();

  void say(std::string_view bytes) { out_ += bytes; }
  Verdict pass() noexcept { return Verdict::passed; }
  Verdict fail(std::string reason);
  // Bytes that are not of this protocol: waits for the whole line, so that the reason shows it.
  Verdict stranger(Bytes seen, std::string_view expected);
  void set_understood() noexcept { understood_ = true; }
  // Tells that a server which speaks TLS was found; empty: such bytes mean nothing here.
  void set_tls_advice(std::string_view advice) noexcept { tls_advice_ = advice; }
  std::string_view tls_advice() const noexcept { return tls_advice_; }

 private:
  void step();

  std::string seen_;
  std::string out_;
  std::string reason_;
  std::string_view tls_advice_;
  size_t left_;
  Verdict verdict_ = Verdict::need_more;
  bool first_ = true;  // nothing was dealt with yet
  bool understood_ = false;
};

struct HealthQuestion {
  const config::Health& rules;  // outlives the dialog
  std::string host;             // for Host; never empty
  std::string nonce;            // printable, random, without comma: for logins
  std::string_view tls_advice;  // static text for where plain bytes meet a TLS server; empty under TLS
};
// Of the type in the rules, which is one that checks.
std::unique_ptr<HealthDialog> make_health_dialog(const HealthQuestion& question);

// "text", escaped and in quotes, its first line only, shortened.
std::string quoted_line(std::string_view text);

}  // namespace sallyport
