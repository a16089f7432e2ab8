#include "config/model.h"

#include <algorithm>

#include "base/format.h"

namespace sallyport::config {

const char* name_of(Mode mode) noexcept {
  switch (mode) {
    case Mode::passthrough: return "passthrough";
    case Mode::edge: return "edge";
    case Mode::reencrypt: return "reencrypt";
    case Mode::http: return "http";
    case Mode::redirect: return "redirect";
    case Mode::ssh: return "ssh";
    case Mode::tcp: return "tcp";
  }
  return "";
}

const char* name_of(Health::Type type) noexcept {
  switch (type) {
    case Health::Type::automatic: return "automatic";
    case Health::Type::off: return "off";
    case Health::Type::tcp: return "tcp";
    case Health::Type::tls: return "tls";
    case Health::Type::http: return "http";
    case Health::Type::https: return "https";
    case Health::Type::ssh: return "ssh";
    case Health::Type::smtp: return "smtp";
    case Health::Type::mysql: return "mysql";
    case Health::Type::postgres: return "postgres";
    case Health::Type::redis: return "redis";
  }
  return "";
}

const char* name_of(Alert::Kind kind) noexcept {
  switch (kind) {
    case Alert::Kind::webhook: return "webhook";
    case Alert::Kind::email: return "email";
    case Alert::Kind::exec: return "exec";
  }
  return "";
}

std::string Fault::text() const {
  std::string out = at.file;
  if (at.line > 0) out += format(":{}:{}", at.line, at.column);
  out += severity == Severity::error ? ": error: " : ": warning: ";
  out += message;
  if (excerpt.empty() || at.column < 1) return out;
  out += format("\n    {}\n    {}^", excerpt, std::string(static_cast<size_t>(at.column) - 1, ' '));
  return out;
}

bool Config::has_errors() const noexcept {
  return std::any_of(faults.begin(), faults.end(), [](const Fault& f) { return f.severity == Severity::error; });
}

const Listener* Config::listener(const std::string& name) const noexcept {
  const auto found =
      std::find_if(listeners.begin(), listeners.end(), [&](const Listener& l) { return l.name == name; });
  return found == listeners.end() ? nullptr : &*found;
}

}  // namespace sallyport::config
