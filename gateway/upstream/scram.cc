#include "upstream/scram.h"

#include "base/text.h"
#include "transport/crypto.h"
#include "transport/login_crypto.h"

namespace sallyport {
namespace {

// The value of "x=value" at the front, and the comma behind it, are taken off; nullopt: another attribute stands there.
std::optional<std::string_view> take(std::string_view& text, char name) noexcept {
  if (text.size() < 2 || text[0] != name || text[1] != '=') return std::nullopt;
  const size_t comma = text.find(',');
  const std::string_view value = text.substr(2, comma == std::string_view::npos ? comma : comma - 2);
  text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  return value;
}

std::string exclusive_or(std::string_view a, std::string_view b) {
  std::string out(a);
  for (size_t i = 0; i < out.size() && i < b.size(); ++i) out[i] = static_cast<char>(out[i] ^ b[i]);
  return out;
}

std::string mac(std::string_view key, std::string_view text) {
  const auto digest = hmac_sha256(as_bytes(key), as_bytes(text));
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// A name may hold what separates attributes.
std::string sasl_name(std::string_view name) {
  std::string out;
  for (char c : name) {
    if (c == ',')
      out += "=2C";
    else if (c == '=')
      out += "=3D";
    else
      out += c;
  }
  return out;
}

}  // namespace

ScramClient::ScramClient(std::string user, std::string password, std::string nonce)
    : password_(std::move(password)), nonce_(std::move(nonce)), first_bare_("n=" + sasl_name(user) + ",r=" + nonce_) {}

std::string ScramClient::final(std::string_view server_first) {
  std::string_view rest = server_first;
  const auto nonce = take(rest, 'r');
  const auto salt_text = take(rest, 's');
  const auto count = take(rest, 'i');
  if (!nonce || !salt_text || !count) {
    why_ = "a malformed SCRAM challenge";
    return {};
  }
  const auto salt = from_base64(*salt_text);
  const auto iterations = parse_number(*count);
  if (!nonce->starts_with(nonce_) || nonce->size() == nonce_.size() || !salt || !iterations || *iterations == 0) {
    why_ = "a malformed SCRAM challenge";
    return {};
  }
  if (*iterations > kMostIterations) {
    why_ = "more than 200000 SCRAM iterations are asked for";
    return {};
  }
  const std::string salted = pbkdf2_sha256(password_, *salt, static_cast<uint32_t>(*iterations));
  const std::string client_key = mac(salted, "Client Key");
  const std::string without_proof = "c=biws,r=" + std::string(*nonce);  // biws: "n,,", no channel binding
  const std::string message = first_bare_ + "," + std::string(server_first) + "," + without_proof;
  const std::string proof = exclusive_or(client_key, mac(sha256(client_key), message));
  server_signature_ = mac(mac(salted, "Server Key"), message);
  return without_proof + ",p=" + base64(as_bytes(proof));
}

bool ScramClient::verify(std::string_view server_final) {
  const auto signature = take(server_final, 'v');
  if (signature && !server_signature_.empty() && *signature == base64(as_bytes(server_signature_))) return true;
  why_ = "the server does not know the password either (its SCRAM signature is wrong)";
  return false;
}

}  // namespace sallyport
