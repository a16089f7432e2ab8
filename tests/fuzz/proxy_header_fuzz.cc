// folders: net
#include <string>

#include "expect.h"
#include "net/proxy_header.h"

using namespace sallyport;

namespace {

void check_written(const std::string& text, const ProxyHeader& read) {
  ProxyHeader again;
  size_t consumed = 0;
  FUZZ_EXPECT(parse_proxy_header(as_bytes(text), again, consumed) == ProxyParse::done);
  FUZZ_EXPECT(consumed == text.size());
  FUZZ_EXPECT(again.local == read.local);
  FUZZ_EXPECT(again.source == read.source && again.destination == read.destination);
}

}  // namespace

// In whatever pieces it comes, the answer is the same; and what was read can be written and read again.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes bytes(data, size);
  ProxyHeader header;
  size_t consumed = 0;
  const char* why = nullptr;
  ProxyParse verdict = parse_proxy_header(bytes, header, consumed, &why);
  FUZZ_EXPECT((verdict == ProxyParse::malformed) == (why != nullptr));
  FUZZ_EXPECT(size < 16 + 4096 || verdict != ProxyParse::need_more);

  for (size_t cut = 0; cut < size; ++cut) {
    ProxyHeader part;
    size_t part_consumed = 0;
    ProxyParse earlier = parse_proxy_header(bytes.first(cut), part, part_consumed);
    FUZZ_EXPECT(earlier == ProxyParse::need_more || earlier == verdict);
    if (earlier == ProxyParse::done) FUZZ_EXPECT(part_consumed == consumed && consumed <= cut);
    if (earlier != ProxyParse::need_more) break;
  }
  if (verdict != ProxyParse::done) return 0;

  FUZZ_EXPECT(consumed <= size);
  FUZZ_EXPECT(header.local || (header.source.is_ip() && header.source.family() == header.destination.family()));
  std::string v1;
  append_proxy_v1(v1, header.source, header.destination);
  check_written(v1, header);
  FUZZ_EXPECT(v1.size() <= 107);
  std::string v2;
  append_proxy_v2(v2, header.source, header.destination,
                  ProxyTlvs{header.alpn, header.authority, header.ssl, "TLSv1.3"});
  check_written(v2, header);
  return 0;
}
