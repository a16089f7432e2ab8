// folders: demux
#include "demux/sniff.h"
#include "expect.h"

using sallyport::Bytes;
using sallyport::Sniff;
using sallyport::sniff;

// Whatever arrives first, in whatever pieces: an answer once given stays, and one is given within kSniffBytes.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Bytes bytes(data, size);
  Sniff verdict = sniff(bytes);
  for (size_t cut = 0; cut < size && cut <= sallyport::kSniffBytes; ++cut) {
    Sniff earlier = sniff(bytes.first(cut));
    FUZZ_EXPECT(earlier == Sniff::need_more || earlier == verdict);
  }
  FUZZ_EXPECT(size < sallyport::kSniffBytes || verdict != Sniff::need_more);
  return 0;
}
