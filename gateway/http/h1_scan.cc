#include "http/h1_scan.h"

namespace sallyport::http {

H1HeadScan::Verdict H1HeadScan::next(std::string_view text, bool start_line) noexcept {
  while (at_ < text.size()) {
    if (at_ == line_ && (line_ != 0 || !start_line) && (text[at_] == ' ' || text[at_] == '\t'))
      return bad(first_line_ == line_ - 2 && start_line ? "white space before the first field" : "obs-fold");
    const size_t found = find_control(text, at_);
    at_ = static_cast<uint32_t>(found);
    if (found == text.size()) return Verdict::more;
    if (text[found] != '\r')
      return bad(text[found] == '\n'   ? "bare LF"
                 : text[found] == '\0' ? "NUL in a head"
                                       : "control character in a head");
    if (found + 1 == text.size()) return Verdict::more;
    if (text[found + 1] != '\n') return bad("bare CR");
    const bool empty = found == line_;
    if (line_ == 0) first_line_ = at_;
    line_ = at_ += 2;
    if (empty) return Verdict::complete;
  }
  return Verdict::more;
}

}  // namespace sallyport::http
