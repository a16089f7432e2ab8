// Runs a reader over bytes cut in a given way, and writes down everything it said: two runs that differ in their cuts
// only must give the same text.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/format.h"
#include "http/h1_reader.h"

namespace sallyport::http {

// Keeps what was not consumed, as a connection does, and gives it to the reader at a new address each time.
class Feeder {
 public:
  explicit Feeder(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  bool more() {
    if (next_ == pieces_.size()) return false;
    std::string grown(as_text(left_));
    grown += pieces_[next_++];
    std::string fresh(grown);  // another address: nothing may hold on to the old one
    kept_.swap(fresh);
    left_ = as_bytes(kept_);
    return true;
  }
  Bytes& input() { return left_; }

 private:
  std::vector<std::string> pieces_;
  size_t next_ = 0;
  std::string kept_;
  Bytes left_;
};

inline std::vector<std::string> cut_at(std::string_view text, size_t at) {
  return {std::string(text.substr(0, at)), std::string(text.substr(at))};
}
inline std::vector<std::string> cut_each(std::string_view text, size_t step) {
  std::vector<std::string> pieces;
  for (size_t at = 0; at < text.size(); at += step) pieces.emplace_back(text.substr(at, step));
  return pieces;
}

inline const char* name_of(Body body) {
  switch (body) {
    case Body::none: return "none";
    case Body::sized: return "sized";
    case Body::chunked: return "chunked";
    case Body::until_close: return "until_close";
  }
  return "?";
}

inline std::string describe(const HeaderList& fields) {
  std::string out;
  fields.for_each([&](const Header& f, HeaderId) { out += fmt::format(" [{}: {}]", f.name, f.value); });
  return out;
}
inline std::string describe(const RequestHead& h) {
  return fmt::format("{} {} 1.{} authority={} host={} port={} {}:{}{}{}{}{}", h.method, h.target, h.version_minor,
                     h.authority, h.host, h.authority_port, name_of(h.body), h.content_length,
                     h.keep_alive ? " keep" : "", h.expect_continue ? " expect" : "", h.wants_upgrade ? " upgrade" : "",
                     describe(h.fields));
}
inline std::string describe(const ResponseHead& h) {
  return fmt::format("{} {} 1.{} {}:{}{}{}{}", h.status, h.reason, h.version_minor, name_of(h.body), h.content_length,
                     h.has_content_length ? " length" : "", h.keep_alive ? " keep" : "", describe(h.fields));
}

struct Run {
  std::string text;  // "head …", "body …", "complete", "error …", one a line; pieces of a body are joined
  bool idle = false;
  size_t left = 0;  // bytes not consumed
};

// Runs until the input is used up, an error, or a 101.
template <class Reader, class Head>
Run run(Reader& reader, Head& head, std::vector<std::string> pieces) {
  Feeder feeder(std::move(pieces));
  HeaderList trailers;
  Run result;
  std::string body;
  auto end_body = [&] {
    if (!body.empty()) result.text += fmt::format("body {}\n", body);
    body.clear();
  };
  bool going = true;
  while (going) {
    switch (reader.next(feeder.input(), head, trailers)) {
      case H1Event::need_more: going = feeder.more(); break;
      case H1Event::head:
        result.text += fmt::format("head {}\n", describe(head));
        if constexpr (requires { head.status; }) going = head.status != 101;
        break;
      case H1Event::body: body += as_text(reader.body()); break;
      case H1Event::complete:
        end_body();
        result.text += fmt::format("complete{}\n", describe(trailers));
        break;
      case H1Event::error:
        end_body();
        result.text += fmt::format("error {} {}\n", reader.failure().status, reader.failure().why);
        going = false;
        break;
    }
  }
  end_body();
  result.idle = reader.idle();
  result.left = feeder.input().size();
  return result;
}

inline Run read_requests(std::vector<std::string> pieces, H1Limits limits = {}) {
  H1RequestReader reader(limits);
  RequestHead head;
  return run(reader, head, std::move(pieces));
}
inline Run read_responses(std::vector<std::string> pieces, bool head_request = false, H1Limits limits = {}) {
  H1ResponseReader reader(limits);
  ResponseHead head;
  reader.expect(head_request);
  return run(reader, head, std::move(pieces));
}

}  // namespace sallyport::http
