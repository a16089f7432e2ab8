// folders: http
#include "expect.h"
#include "http/forwarding.h"
#include "http/h1_writer.h"
#include "tests/unit/http/transcript.h"

using namespace sallyport;
using namespace sallyport::http;

namespace {

// What a server behind us would have to understand as we did.
std::string meaning(const RequestHead& head) {
  RequestHead plain = head;
  plain.fields.remove(HeaderId::connection);
  std::string text = fmt::format("{} {} {} {} {}:{}", plain.method, plain.target, plain.authority, plain.host,
                                 name_of(plain.body), plain.content_length);
  return text + describe(plain.fields);
}

void expect_clean(std::string_view text) {
  FUZZ_EXPECT(text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
}

// A request that was let in goes on as exactly one request, which reads back as the same.
void expect_round_trip(RequestHead head, bool forward) {
  if (head.authority.empty()) return;
  const bool upgrade = head.wants_upgrade;
  if (forward) forward_request(head, {*Address::parse_ip("192.0.2.1", 1), false, true, 443}, upgrade);
  std::string out;
  append_request_head(out, head, upgrade);
  if (head.body == Body::none && (head.method == "POST" || head.method == "PUT" || head.method == "PATCH"))
    head.body = Body::sized;
  H1Limits roomy;
  roomy.head_bytes *= 2;
  H1RequestReader reader(roomy);
  RequestHead again;
  HeaderList trailers;
  Bytes input = as_bytes(out);
  FUZZ_EXPECT(reader.next(input, again, trailers) == H1Event::head);
  FUZZ_EXPECT(input.empty());
  FUZZ_EXPECT(meaning(again) == meaning(head));
  FUZZ_EXPECT(again.wants_upgrade == upgrade);
}

}  // namespace

// Any bytes, in any pieces: the same answer; and what is let in is clean, and leaves as one request with one meaning.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Run whole = read_requests({std::string(text)});
  if (size <= 2048) FUZZ_EXPECT(read_requests(cut_each(text, 1)).text == whole.text);
  FUZZ_EXPECT(read_requests(cut_each(text, 7)).text == whole.text);
  FUZZ_EXPECT(read_requests(cut_at(text, size / 2)).text == whole.text);

  H1RequestReader reader;
  RequestHead head;
  HeaderList trailers;
  Bytes input(data, size);
  for (;;) {
    const H1Event event = reader.next(input, head, trailers);
    if (event == H1Event::need_more || event == H1Event::error) break;
    if (event == H1Event::complete)
      trailers.for_each(
          [](const Header& field, HeaderId) { FUZZ_EXPECT(is_token(field.name) && is_field_value(field.value)); });
    if (event != H1Event::head) continue;
    expect_clean(head.method);
    expect_clean(head.target);
    expect_clean(head.authority);
    FUZZ_EXPECT(head.target == "*" || head.target.front() == '/');
    FUZZ_EXPECT(head.host.size() <= head.authority.size());
    head.fields.for_each(
        [](const Header& field, HeaderId) { FUZZ_EXPECT(is_token(field.name) && is_field_value(field.value)); });
    expect_round_trip(head, false);
    expect_round_trip(head, true);
    client_address(head.fields, *Address::parse_ip("10.0.0.1", 1), {});
  }
  return 0;
}
