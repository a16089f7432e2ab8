#include "cli/certs_list.h"

#include <ctime>

#include "base/format.h"
#include "base/text.h"

namespace sallyport {
namespace {

using Clock = std::chrono::system_clock;

std::string date_of(Clock::time_point time) {
  std::time_t seconds = Clock::to_time_t(time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  size_t size = std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return {text, size};
}

const char* name_of(KeyKind kind) {
  return kind == KeyKind::ecdsa ? "ECDSA" : kind == KeyKind::rsa ? "RSA" : "another kind";
}

void append_block(std::string& out, const Certificate& certificate, const std::vector<std::string>& users,
                  Clock::time_point now) {
  std::string key =
      certificate.key_file == certificate.file ? "" : format(", key in {}", escaped(certificate.key_file));
  out += format("{}\n", certificate.names.empty() ? "no DNS or IP names" : joined(certificate.names));
  out += format("  expires  {}\n", expiry_text(certificate, now));
  out += format("  issuer   {}\n", certificate.issuer);  // its control characters are escaped already
  out += format("  file     {} ({}{})\n", escaped(certificate.file), name_of(certificate.kind), key);
  out += format("  used by  {}\n\n", users.empty() ? "no service" : joined(users));
}

}  // namespace

std::string expiry_text(const Certificate& certificate, Clock::time_point now) {
  using Days = std::chrono::duration<long, std::ratio<86'400>>;
  std::string date = date_of(certificate.not_after);
  auto plural = [](long days) { return format("{} day{}", days, days == 1 ? "" : "s"); };
  if (certificate.not_before > now) return format("{}, not valid before {}", date, date_of(certificate.not_before));
  if (certificate.not_after < now)
    return format("{}, EXPIRED {} ago", date,
                  plural(std::chrono::duration_cast<Days>(now - certificate.not_after).count()));
  return format("{}, in {}", date, plural(std::chrono::duration_cast<Days>(certificate.not_after - now).count()));
}

std::vector<std::string> users_of(const Certificate& certificate, const CertUsers& users) {
  std::vector<std::string> names = users.of(certificate);
  if (users.is_default(certificate)) names.emplace_back("(default)");
  return names;
}

std::string certificate_list(const config::Config& config, const CertStore& store, Clock::time_point now) {
  std::string out;
  const CertUsers users(config, store);
  const CertSet& all = users.all();
  for (const auto& certificate : all) append_block(out, *certificate, users_of(*certificate, users), now);
  if (all.empty()) {
    out += format("No certificate with a key and a name in {}.\n", config.gateway.certificates.directory);
    out += "Put a PEM chain and its key there, or make one: sallyport certs issue NAME\n";
  }
  if (!config.left_out.empty())
    out +=
        format("Not looked at, as their files have faults (sallyport check tells): {}\n", joined(config.left_out));
  if (!store.problems().empty()) out += all.empty() ? "\nProblems:\n" : "Problems:\n";
  for (const CertProblem& problem : store.problems())
    out += format("  {}: {}\n", escaped(problem.file), escaped(problem.message));
  return out;
}

}  // namespace sallyport
