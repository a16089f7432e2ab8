// folders: upstream
#include <string>

#include "expect.h"
#include "upstream/health_dialog.h"

using namespace sallyport;
using Verdict = HealthDialog::Verdict;

namespace {

struct Heard {
  Verdict verdict;
  std::string reason;
  std::string said;
  bool understood;
  friend bool operator==(const Heard&, const Heard&) = default;
};

Heard hear(const HealthQuestion& question, Bytes answer, size_t piece) {
  auto dialog = make_health_dialog(question);
  dialog->start();
  for (size_t at = 0; at < answer.size(); at += piece) {
    const Bytes rest = answer.subspan(at);
    const Verdict verdict = dialog->feed(rest.size() < piece ? rest : rest.first(piece));
    if (verdict != Verdict::need_more) FUZZ_EXPECT(dialog->feed(as_bytes("more")) == verdict);
  }
  const Verdict end = dialog->end();
  return {end, dialog->reason(), dialog->take_output(), dialog->understood()};
}

}  // namespace

// The first byte chooses the protocol, and whether there is a user, a password and a text to look for; the rest is what
// the server says. However it is cut there is one verdict, with a reason of one clean line, and what is said is
// bounded.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  using Type = config::Health::Type;
  static constexpr Type kTypes[] = {Type::http,     Type::ssh,   Type::smtp,  Type::mysql,
                                    Type::postgres, Type::redis, Type::https, Type::tcp};
  config::Health rules;
  rules.type = kTypes[data[0] % 8];
  if ((data[0] & 8) != 0) rules.user = "health";
  if ((data[0] & 16) != 0) rules.password = "pencil";
  if ((data[0] & 32) != 0) rules.body = "ok";
  if ((data[0] & 64) != 0) rules.method = "HEAD";
  const bool tls = rules.type == Type::https;
  const HealthQuestion question{rules, "host.example", "rOprNGfwEbeRWgbNEkqO", tls ? "" : "this server speaks TLS"};

  const Bytes answer(data + 1, size - 1);
  const Heard whole = hear(question, answer, size);
  FUZZ_EXPECT(whole.verdict != Verdict::need_more);
  FUZZ_EXPECT((whole.verdict == Verdict::failed) == !whole.reason.empty());
  for (char c : whole.reason) FUZZ_EXPECT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  FUZZ_EXPECT(whole.reason.size() < 1024);
  FUZZ_EXPECT(whole.said.size() < 4096 + size * 64);
  FUZZ_EXPECT(hear(question, answer, 1) == whole);
  FUZZ_EXPECT(hear(question, answer, 7) == whole);
  return 0;
}
