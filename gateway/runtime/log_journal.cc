#define SD_JOURNAL_SUPPRESS_LOCATION  // where in the source a line was made helps nobody who reads the journal
#include "runtime/log_journal.h"

#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cerrno>

#include "base/result.h"
#include "runtime/log_priority.h"

namespace sallyport {
namespace {

constexpr const char* kSocket = "/run/systemd/journal/socket";

iovec field(std::string_view text) noexcept { return {const_cast<char*>(text.data()), text.size()}; }

}  // namespace

size_t JournalSink::write(const log::Piece& piece) {
  // The library says nothing where there is no journald.
  if (::access(kSocket, W_OK) != 0) {
    why_ = Error::from_errno(errno, Side::internal, Retry::no, kSocket).text();
    return 0;
  }
  char priority[] = "PRIORITY=6";
  priority[9] = static_cast<char>('0' + syslog_severity(piece.level));
  size_t done = 0;
  while (done < piece.lines.size()) {
    const log::Event event = log::first_event(piece.lines.substr(done), piece.shape);
    message_.assign("MESSAGE=").append(event.message);
    fields_.assign({field(message_), field(priority), field("SYSLOG_IDENTIFIER=sallyport"), field("SYSLOG_FACILITY=3")});
    fields_.push_back(field(piece.access ? "SALLYPORT_TYPE=access" : "SALLYPORT_TYPE=event"));
    for (std::string_view rest = event.fields; !rest.empty();) {
      const size_t line = rest.find('\n');
      fields_.push_back(field(rest.substr(0, line)));
      rest = line == std::string_view::npos ? std::string_view() : rest.substr(line + 1);
    }
    const int sent = sd_journal_sendv(fields_.data(), static_cast<int>(fields_.size()));
    if (sent == -EINVAL || sent == -E2BIG) {
      ++lost_;  // this one will never go
    } else if (sent < 0) {
      why_ = Error::from_errno(-sent, Side::internal, Retry::no, kSocket).text();
      return done;
    }
    done += event.size;
  }
  return done;
}

}  // namespace sallyport
