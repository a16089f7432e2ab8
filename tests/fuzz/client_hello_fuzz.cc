// folders: demux
#include <algorithm>
#include <string>
#include <vector>

#include "base/host.h"
#include "demux/client_hello.h"
#include "expect.h"

using namespace sallyport;

namespace {

bool same(const ClientHello& a, const ClientHello& b) {
  return a.sni_kind == b.sni_kind && a.sni == b.sni && a.offers_h2 == b.offers_h2 && a.offers_http1 == b.offers_http1 &&
         a.offers_acme == b.offers_acme && a.has_alpn == b.has_alpn && a.max_version == b.max_version;
}

void check_name(const ClientHello& hello) {
  FUZZ_EXPECT(hello.sni.size() <= 255);
  if (hello.sni_kind == ClientHello::Sni::none) FUZZ_EXPECT(hello.sni.empty());
  if (hello.sni_kind == ClientHello::Sni::name)
    FUZZ_EXPECT(is_host_name(hello.sni) && normalized_host(hello.sni) == hello.sni && !hello.sni.ends_with('.'));
}

// The message inside the records of a whole hello, cut anew into records of one size.
std::vector<uint8_t> cut_anew(Bytes wire, size_t size) {
  std::vector<uint8_t> message;
  for (size_t at = 0; at + 5 <= wire.size();) {
    size_t length = std::min<size_t>(static_cast<size_t>(wire[at + 3] << 8 | wire[at + 4]), wire.size() - at - 5);
    message.insert(message.end(), wire.begin() + static_cast<ptrdiff_t>(at + 5),
                   wire.begin() + static_cast<ptrdiff_t>(at + 5 + length));
    if (message.size() >= 4) {
      size_t whole = 4 + (size_t{message[1]} << 16 | size_t{message[2]} << 8 | message[3]);
      if (message.size() >= whole) {
        message.resize(whole);
        break;
      }
    }
    at += 5 + length;
  }
  std::vector<uint8_t> out;
  for (size_t at = 0; at < message.size(); at += size) {
    size_t length = std::min(size, message.size() - at);
    out.insert(out.end(), {22, 3, 1, static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length)});
    out.insert(out.end(), message.begin() + static_cast<ptrdiff_t>(at),
               message.begin() + static_cast<ptrdiff_t>(at + length));
  }
  return out;
}

}  // namespace

// Whole, byte by byte, and in other records: the same answer.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes bytes(data, size);
  ClientHello whole;
  const char* why = nullptr;
  HelloParse verdict = parse_client_hello(bytes, whole, &why);
  FUZZ_EXPECT((verdict == HelloParse::malformed || verdict == HelloParse::too_large) == (why != nullptr));
  FUZZ_EXPECT(size < kMaxHelloBytes || verdict != HelloParse::need_more);
  if (verdict == HelloParse::done) check_name(whole);

  ClientHello stepwise;
  HelloProgress progress;
  HelloParse step = HelloParse::need_more;
  for (size_t cut = 0; cut <= size && step == HelloParse::need_more; ++cut)
    step = parse_client_hello(bytes.first(cut), stepwise, nullptr, &progress);
  FUZZ_EXPECT(step == verdict);
  if (verdict != HelloParse::done) return 0;
  FUZZ_EXPECT(same(whole, stepwise));

  for (size_t record : {size_t{1}, size_t{7}, size_t{16384}}) {
    std::vector<uint8_t> other = cut_anew(bytes, record);
    if (other.size() > kMaxHelloBytes) continue;
    ClientHello again;
    FUZZ_EXPECT(parse_client_hello(other, again) == HelloParse::done);
    FUZZ_EXPECT(same(whole, again));
  }
  return 0;
}
