// folders: http
#include "expect.h"
#include "http/forwarding.h"
#include "http/h1_writer.h"
#include "tests/unit/http/transcript.h"

using namespace sallyport;
using namespace sallyport::http;

namespace {

std::string meaning(const ResponseHead& head) {
  ResponseHead plain = head;
  plain.fields.remove(HeaderId::connection);
  return fmt::format("{} {}:{}", plain.status, name_of(plain.body), plain.content_length) + describe(plain.fields);
}

void expect_round_trip(ResponseHead head, bool to_head) {
  forward_response(head, head.status == 101);
  std::string out;
  append_response_head(out, head, {.close = !head.keep_alive, .http10 = false, .upgrade = head.status == 101});
  H1Limits roomy;
  roomy.head_bytes *= 2;
  H1ResponseReader reader(roomy);
  reader.expect(to_head);
  ResponseHead again;
  HeaderList trailers;
  Bytes input = as_bytes(out);
  FUZZ_EXPECT(reader.next(input, again, trailers) == H1Event::head);
  FUZZ_EXPECT(input.empty());
  FUZZ_EXPECT(meaning(again) == meaning(head));
}

void try_as(std::string_view text, bool to_head) {
  const Run whole = read_responses({std::string(text)}, to_head);
  if (text.size() <= 2048) FUZZ_EXPECT(read_responses(cut_each(text, 1), to_head).text == whole.text);
  FUZZ_EXPECT(read_responses(cut_each(text, 7), to_head).text == whole.text);

  H1ResponseReader reader;
  reader.expect(to_head);
  ResponseHead head;
  HeaderList trailers;
  Bytes input = as_bytes(text);
  H1Event event = H1Event::need_more;
  do {
    event = reader.next(input, head, trailers);
    if (event != H1Event::head) continue;
    FUZZ_EXPECT(head.status >= 100 && head.status <= 999);
    FUZZ_EXPECT(is_field_value(head.reason));
    head.fields.for_each(
        [](const Header& field, HeaderId) { FUZZ_EXPECT(is_token(field.name) && is_field_value(field.value)); });
    expect_round_trip(head, to_head);
  } while (event != H1Event::need_more && event != H1Event::error);
  if (event == H1Event::error) {
    FUZZ_EXPECT(reader.failure().status == 502 && *reader.failure().why != '\0');
    FUZZ_EXPECT(reader.end_of_input() == H1Event::error);
  } else {
    // Only a body without framing of its own may end here.
    const bool waits = reader.idle();
    const H1Event end = reader.end_of_input();
    FUZZ_EXPECT(end ==
                (!waits && head.body == Body::until_close && input.empty() ? H1Event::complete : H1Event::error));
  }
}

}  // namespace

// Any bytes from a server, in any pieces: the same answer, an error or a message that leaves with the same meaning.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try_as(text, false);
  try_as(text, true);
  return 0;
}
