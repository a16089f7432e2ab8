// Who is told of trouble: the `alerts` of gateway.yaml.
#include "admin/schema_parts.h"

namespace sallyport::schema {
namespace {

json without(std::initializer_list<const char*> keys) {
  json out = json::object();
  for (const char* key : keys) out[key] = false;
  return out;
}

json kind(const char* key, json meaningless) {
  return {{"required", json::array({key})}, {"properties", std::move(meaningless)}};
}

}  // namespace

json alerts() {
  const json address = text("a mail address", "^[^@ ]+@[^@ ]+$");
  json alert =
      object("one of webhook, email and exec",
             {{"webhook", text("an http:// or https:// URL that gets a POST; use !file for a secret one")},
              {"email", one_or_list("an address, or a list of them", address)},
              {"exec", one_or_list("a program, or a list of it and its arguments; there is no shell", text("a word"))},
              {"name", text("for the log", kName)},
              {"on", list_of("what is told; default: all", words("", {"server", "service", "certificate", "reload"}))},
              {"limit", text("messages in a time; over it they are told together", "^[0-9]+/[mhd]$")},
              {"timeout", duration("of one try, 1s to 5m")},
              {"ca", text("webhook, email: who must have signed the receiver's certificate")},
              {"format", words("webhook: what it is sent", {"json", "slack", "discord", "ntfy", "gotify"})},
              {"method", words("webhook", {"POST", "PUT"})},
              {"headers",
               {{"description", "webhook: more headers, such as Authorization"},
                {"type", "object"},
                {"additionalProperties", text("a value")}}},
              {"from", address},
              {"smtp", text("email: the server that takes the mail", "^[Ss][Mm][Tt][Pp][Ss]?://[^@/ ]+/?$")},
              {"starttls", words("email, with smtp://", {"required", "off"})},
              {"user", text("email: for the mail server")},
              {"password", text("email: for the mail server; use !file")}});
  json email = kind("email", without({"webhook", "exec", "format", "method", "headers"}));
  email["required"].push_back("smtp");
  alert["oneOf"] = json::array(
      {kind("webhook", without({"email", "exec", "from", "smtp", "starttls", "user", "password"})), std::move(email),
       kind("exec", without({"webhook", "email", "ca", "format", "method", "headers", "from", "smtp", "starttls",
                             "user", "password"}))});
  return list_of("who is told when something changes", std::move(alert));
}

}  // namespace sallyport::schema
