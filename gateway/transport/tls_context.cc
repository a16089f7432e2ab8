#include "transport/tls_context.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>
#include <new>
#include <vector>

#include "base/host.h"
#include "base/text.h"
#include "transport/ticket_keys.h"
#include "transport/trust.h"
#include "transport/upstream_sessions.h"

namespace sallyport {
namespace {

// Forward secrecy and AEAD only; AES-128 first, and ChaCha20 first for clients that put it first (they lack AES
// instructions).
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kSuites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
// The post-quantum group is known to OpenSSL from 3.5 on.
constexpr const char* kGroups = "X25519MLKEM768:X25519:P-256:P-384";
constexpr const char* kOlderGroups = "X25519:P-256:P-384";
// 112 bits: RSA of 2048 bits and more, no SHA-1 signatures.
constexpr int kSecurityLevel = 2;

constexpr std::string_view kHttp2 = "h2";
constexpr std::string_view kAcme = "acme-tls/1";  // RFC 8737

Error fault(std::string detail) {
  ERR_clear_error();
  return Error{Kind::config, Side::internal, Retry::no, 0, "", std::move(detail)};
}

// What the callbacks of a context need. The SSL_CTX owns it, and so outlives each SSL that asks for it.
struct ContextState {
  std::string alpn;      // as on the wire: each protocol behind its length
  std::string identity;  // of an upstream context
};

void free_state(void*, void* state, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<ContextState*>(state); }
void free_name(void*, void* name, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<std::string*>(name); }

int state_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_state);
  return index;
}

int name_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, free_name);
  return index;
}

ContextState* attach_state(SSL_CTX* context) {
  auto* state = new (std::nothrow) ContextState;
  if (state != nullptr && SSL_CTX_set_ex_data(context, state_index(), state) == 1) return state;
  delete state;
  return nullptr;
}

// A hash over parts that cannot run into each other.
class Hash {
 public:
  Hash() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  ~Hash() { EVP_MD_CTX_free(context_); }
  Hash(const Hash&) = delete;
  Hash& operator=(const Hash&) = delete;
  void add(std::string_view part) {
    uint64_t size = part.size();
    EVP_DigestUpdate(context_, &size, sizeof size);
    EVP_DigestUpdate(context_, part.data(), part.size());
  }
  std::string finish() {
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context_, out, &size);
    return {reinterpret_cast<char*>(out), size};
  }

 private:
  EVP_MD_CTX* context_;
};

Status apply_policy(SSL_CTX* context, const TlsPolicy& policy) {
  int minimum = policy.min_version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION;
  if (policy.min_version != "1.2" && policy.min_version != "1.3")
    return fault("min_version: \"" + policy.min_version + "\" is neither 1.2 nor 1.3");
  SSL_CTX_set_min_proto_version(context, minimum);
  SSL_CTX_set_max_proto_version(context, 0);
  SSL_CTX_set_security_level(context, kSecurityLevel);
  if (SSL_CTX_set_cipher_list(context, policy.ciphers.empty() ? kCiphers : policy.ciphers.c_str()) != 1)
    return fault("ciphers: " + tls_error_text());
  if (SSL_CTX_set_ciphersuites(context, policy.ciphersuites.empty() ? kSuites : policy.ciphersuites.c_str()) != 1)
    return fault("ciphersuites: " + tls_error_text());
  if (!policy.groups.empty()) {
    if (SSL_CTX_set1_groups_list(context, policy.groups.c_str()) == 1) return success();
    std::string why = tls_error_text();
    return fault("groups: " + (why.empty() ? std::string("unknown group in the list") : why));
  }
  if (SSL_CTX_set1_groups_list(context, kGroups) != 1 && SSL_CTX_set1_groups_list(context, kOlderGroups) != 1)
    return fault("groups: " + tls_error_text());
  ERR_clear_error();
  return success();
}

void apply_common(SSL_CTX* context) {
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // The system's openssl.cnf may have set these. A cut must never look like an end.
  SSL_CTX_clear_options(context,
                        SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_TICKET | SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION);
}

Status use_certificate(SSL_CTX* context, const KeyPair& pair) {
  STACK_OF(X509)* chain = sk_X509_new_null();
  for (X509* certificate : pair.chain) sk_X509_push(chain, certificate);
  int taken = SSL_CTX_use_cert_and_key(context, pair.leaf, pair.key, chain, 1);
  sk_X509_free(chain);
  return taken == 1 ? success() : fault("certificate: " + tls_error_text());
}

Result<std::string> wire_alpn(std::span<const std::string_view> protocols) {
  std::string wire;
  for (std::string_view protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255) return fault("alpn: a protocol name has 1 to 255 bytes");
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  return wire;
}

// Walks a protocol list as on the wire; false ends the walk early, and is then the answer.
template <class Visit>
bool each_protocol(std::string_view wire, Visit visit) {
  while (!wire.empty()) {
    size_t size = static_cast<unsigned char>(wire[0]);
    if (size == 0 || size >= wire.size()) return false;
    if (!visit(wire.substr(1, size))) return false;
    wire.remove_prefix(1 + size);
  }
  return true;
}

// What RFC 9113 section 9.2.2 allows under HTTP/2: its appendix A lists every TLS 1.2 suite without ephemeral key
// exchange or without AEAD. OpenSSL asks for the protocol after it has chosen the cipher.
bool cipher_allows_h2(SSL* ssl) {
  const SSL_CIPHER* cipher = SSL_get_pending_cipher(ssl);
  if (cipher == nullptr || SSL_CIPHER_is_aead(cipher) != 1) return false;
  int exchange = SSL_CIPHER_get_kx_nid(cipher);
  return exchange == NID_kx_any || exchange == NID_kx_ecdhe || exchange == NID_kx_dhe;
}

int select_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
                void* arg) {
  const auto* state = static_cast<const ContextState*>(arg);
  std::string_view offered(reinterpret_cast<const char*>(in), in_size);
  if (state->alpn.empty()) {
    // Whatever protocol the client names, the bytes inside are the service's. Only a validator's hello is never for it:
    // it must not complete with us (RFC 8737 section 3).
    bool only_acme = each_protocol(offered, [](std::string_view protocol) { return protocol == kAcme; });
    return only_acme ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
  }
  bool none = each_protocol(state->alpn, [&](std::string_view ours) {
    if (ours == kHttp2 && !cipher_allows_h2(ssl)) return true;
    return each_protocol(offered, [&](std::string_view theirs) {
      if (theirs != ours) return true;
      *out = reinterpret_cast<const unsigned char*>(ours.data());
      *out_size = static_cast<unsigned char>(ours.size());
      return false;
    });
  });
  return none ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_OK;
}

// The name in a server_name extension (RFC 6066 section 3): one entry, of type host_name. An IP address there counts as
// no name. False: anything else.
bool read_sni(std::string_view extension, std::string_view& name) {
  auto number = [&](size_t at) {
    return static_cast<size_t>(static_cast<unsigned char>(extension[at]) << 8 |
                               static_cast<unsigned char>(extension[at + 1]));
  };
  if (extension.size() < 5 || number(0) != extension.size() - 2 || extension[2] != 0) return false;
  if (number(3) != extension.size() - 5) return false;
  name = extension.substr(5);
  if (is_ip_literal(name)) {
    name = {};
    return true;
  }
  return is_host_name(name);
}

std::string_view without_dot(std::string_view name) noexcept {
  if (name.size() > 1 && name.back() == '.') name.remove_suffix(1);
  return name;
}

int compare_sni(SSL* ssl, int* alert, void*) {
  const auto* routed = static_cast<const std::string*>(SSL_get_ex_data(ssl, name_index()));
  if (routed == nullptr) return SSL_CLIENT_HELLO_SUCCESS;
  const unsigned char* extension = nullptr;
  size_t size = 0;
  std::string_view seen;
  bool readable = SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &extension, &size) != 1 ||
                  read_sni({reinterpret_cast<const char*>(extension), size}, seen);
  if (readable && equal_ignoring_case(without_dot(seen), *routed)) return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_CLIENT_HELLO_ERROR;
}

Status apply_client_rule(SSL_CTX* context, const ClientCertRule& rule, Hash& identity) {
  auto ca = read_pem(rule.ca_file);
  if (!ca) return ca.error();
  if (auto trusted = trust_certificates(context, *ca, true); !trusted) return trusted;
  identity.add(rule.required ? "required" : "optional");
  identity.add(ca->text);
  if (!rule.crl_file.empty()) {
    auto crl = read_pem(rule.crl_file);
    if (!crl) return crl.error();
    if (auto checked = check_revocation(context, *crl); !checked) return checked;
    identity.add(crl->text);
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (rule.required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  return success();
}

Status set_session_context(SSL_CTX* context, const std::string& identity) {
  static_assert(SSL_MAX_SID_CTX_LENGTH >= 32);
  if (SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(identity.data()),
                                     static_cast<unsigned>(identity.size())) != 1)
    return fault(tls_error_text());
  return success();
}

SslCtxPtr new_context(const SSL_METHOD* method) {
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(method);
  return context == nullptr ? nullptr : SslCtxPtr(context, SSL_CTX_free);
}

Status apply_tickets(SSL_CTX* context, const std::shared_ptr<const TicketKeys>& tickets) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, tickets == nullptr ? 0 : 1);
  if (tickets == nullptr) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    return success();
  }
  return use_ticket_keys(context, tickets) ? success() : fault("tickets: " + tls_error_text());
}

}  // namespace

Result<SslCtxPtr> make_server_context(const ServerContext& options) {
  SslCtxPtr context = new_context(TLS_server_method());
  ContextState* state = context == nullptr ? nullptr : attach_state(context.get());
  if (state == nullptr) return fault(tls_error_text());
  apply_common(context.get());
  SSL_CTX_set_options(context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_max_early_data(context.get(), 0);
  SSL_CTX_set_recv_max_early_data(context.get(), 0);
  if (auto applied = apply_policy(context.get(), options.policy); !applied) return applied.error();
  for (const KeyPair& pair : options.certificates)
    if (auto used = use_certificate(context.get(), pair); !used) return used.error();

  auto alpn = wire_alpn(options.alpn);
  if (!alpn) return alpn.error();
  state->alpn = std::move(*alpn);
  SSL_CTX_set_alpn_select_cb(context.get(), select_alpn, state);
  SSL_CTX_set_client_hello_cb(context.get(), compare_sni, nullptr);

  Hash identity;
  identity.add(options.session_id_context);
  if (options.client_certificates != nullptr) {
    auto applied = apply_client_rule(context.get(), *options.client_certificates, identity);
    if (!applied) return applied.error();
  }
  if (auto set = set_session_context(context.get(), identity.finish()); !set) return set.error();
  if (auto applied = apply_tickets(context.get(), options.tickets); !applied) return applied.error();
  ERR_clear_error();
  return context;
}

Status check_policy(const TlsPolicy& policy) {
  SslCtxPtr context = new_context(TLS_server_method());
  if (context == nullptr) return fault(tls_error_text());
  return apply_policy(context.get(), policy);
}

Result<SslCtxPtr> make_upstream_context(const UpstreamContext& options) {
  SslCtxPtr context = new_context(TLS_client_method());
  ContextState* state = context == nullptr ? nullptr : attach_state(context.get());
  if (state == nullptr) return fault(tls_error_text());
  apply_common(context.get());
  // A wide offer, as homelab servers are old. Groups are left to the library: it knows which key shares to send at
  // once, and a wrong guess costs a round trip at each handshake.
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), 0);
  SSL_CTX_set_security_level(context.get(), kSecurityLevel);
  if (SSL_CTX_set_cipher_list(context.get(), "DEFAULT") != 1) return fault(tls_error_text());

  Hash identity;
  identity.add(options.verify ? "verify" : "none");
  if (!options.verify) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
    // Who does not ask who the server is gains nothing from refusing the short key that it shows.
    SSL_CTX_set_security_level(context.get(), 1);
  } else if (options.ca_file.empty()) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (SSL_CTX_set_default_verify_paths(context.get()) != 1) return fault("system certificates: " + tls_error_text());
  } else {
    auto ca = read_pem(options.ca_file);
    if (!ca) return ca.error();
    if (auto trusted = trust_certificates(context.get(), *ca, false); !trusted) return trusted.error();
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    identity.add(ca->text);
  }

  if (const KeyPair* pair = options.client_certificate; pair != nullptr) {
    if (auto used = use_certificate(context.get(), *pair); !used) return used.error();
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    X509_digest(pair->leaf, EVP_sha256(), digest, &size);
    identity.add({reinterpret_cast<const char*>(digest), size});
  }

  auto alpn = wire_alpn(options.alpn);
  if (!alpn) return alpn.error();
  // SSL_CTX_set_alpn_protos(3) answers 0 for success.
  if (!alpn->empty() && SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(alpn->data()),
                                                static_cast<unsigned>(alpn->size())) != 0)
    return fault("alpn: " + tls_error_text());
  identity.add(*alpn);

  state->identity = identity.finish();
  if (auto set = set_session_context(context.get(), state->identity); !set) return set.error();
  use_upstream_sessions(context.get());
  ERR_clear_error();
  return context;
}

std::string_view upstream_identity(const SSL_CTX* context) noexcept {
  const auto* state = static_cast<const ContextState*>(SSL_CTX_get_ex_data(context, state_index()));
  return state == nullptr ? std::string_view() : std::string_view(state->identity);
}

void set_routed_sni(SSL* ssl, std::string_view name) {
  auto* held = new std::string(without_dot(name));
  if (SSL_set_ex_data(ssl, name_index(), held) != 1) delete held;
}

Status set_upstream_name(SSL* ssl, std::string_view name) {
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
  std::string text(without_dot(name));
  X509_VERIFY_PARAM* verified = SSL_get0_param(ssl);
  if (is_ip_literal(text)) {
    if (X509_VERIFY_PARAM_set1_ip_asc(verified, text.c_str()) == 1) return success();
    return fault(tls_error_text());
  }
  if (!is_host_name(text)) return fault("\"" + escaped(name) + "\" is neither a host name nor an IP address");
  X509_VERIFY_PARAM_set_hostflags(verified, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (X509_VERIFY_PARAM_set1_host(verified, text.c_str(), text.size()) != 1 ||
      SSL_set_tlsext_host_name(ssl, text.c_str()) != 1)
    return fault(tls_error_text());
  return success();
}

}  // namespace sallyport
