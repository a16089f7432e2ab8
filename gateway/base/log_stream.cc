#include "base/log_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/result.h"

namespace sallyport::log {
namespace {

constexpr int kPatienceMs = 500;
constexpr mode_t kMode = 0640;

std::string system_words(int error) { return Error::from_errno(error, Side::internal, Retry::no, "").text(); }

// How far it came. error: 0 where there was just no room for a while.
size_t write_some(int fd, std::string_view text, int& error) noexcept {
  size_t done = 0;
  error = 0;
  while (done < text.size()) {
    ssize_t count = ::write(fd, text.data() + done, text.size() - done);
    if (count >= 0) {
      done += static_cast<size_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      error = errno;
      return done;
    }
    // A target that another process made non-blocking, or a FIFO: wait for room, on this thread only.
    pollfd room{fd, POLLOUT, 0};
    if (::poll(&room, 1, kPatienceMs) == 0) return done;
  }
  return done;
}

// A stream shows what people are meant to see, whatever target the lines were made for.
std::string messages_of(std::string_view fields) {
  std::string out;
  while (!fields.empty()) {
    Event event = first_event(fields, Shape::fields);
    out.append(event.message) += '\n';
    fields.remove_prefix(event.size);
  }
  return out;
}

}  // namespace

StreamSink::StreamSink(int fd) : Sink(fd == 2 ? "stderr" : "descriptor"), fd_(fd) {}

size_t StreamSink::write(const Piece& piece) {
  if (piece.shape == Shape::fields) {
    int ignored;
    write_some(fd_, messages_of(piece.lines), ignored);
    return piece.lines.size();
  }
  int error = 0;
  size_t done = write_some(fd_, piece.lines, error);
  if (error != EPIPE && error != EBADF && error != EIO) {
    why_ = error == 0 ? std::string() : system_words(error);
    return done;
  }
  // Nobody will ever read it again.
  lost_ += count_events(piece.lines.substr(done), piece.shape);
  return piece.lines.size();
}

FileSink::FileSink(std::string path) : Sink(std::move(path)) {}

bool FileSink::open() {
  // O_NONBLOCK: a FIFO that nobody reads is an error, not a wait.
  UniqueFd fresh(::open(name().c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, kMode));
  if (!fresh) {
    why_ = system_words(errno);
    return false;
  }
  struct stat what {};
  regular_ = ::fstat(fresh.get(), &what) == 0 && S_ISREG(what.st_mode);
  fd_ = std::move(fresh);
  return true;
}

bool FileSink::gone() const noexcept {
  struct stat what {};
  return regular_ && ::fstat(fd_.get(), &what) == 0 && what.st_nlink == 0;
}

bool FileSink::reopen() {
  // Where the new one cannot be opened the old one is better than nothing.
  reopening_ = fd_ && !open();
  return !reopening_;
}

size_t FileSink::write(const Piece& piece) {
  if (reopening_) reopen();
  if (fd_ && gone()) fd_.reset();
  if (!fd_ && !open()) return 0;
  const bool as_it_is = piece.shape != Shape::fields;
  const std::string converted = as_it_is ? std::string() : messages_of(piece.lines);
  const std::string_view text = as_it_is ? piece.lines : std::string_view(converted);
  int error = 0;
  size_t done = write_some(fd_.get(), text, error);
  if (done == text.size()) return piece.lines.size();
  why_ = error == 0 ? std::string() : system_words(error);
  if (regular_) {
    // What the line began with goes again: it may come whole later, and then perhaps into another file.
    const size_t whole = done == 0 ? 0 : text.rfind('\n', done - 1) + 1;
    const off_t end = ::lseek(fd_.get(), 0, SEEK_END);
    if (done > whole && end >= 0 && ::ftruncate(fd_.get(), end - static_cast<off_t>(done - whole)) == 0) done = whole;
  }
  if (as_it_is) return done;
  lost_ += count_events(std::string_view(converted).substr(done), Shape::plain);
  return piece.lines.size();
}

}  // namespace sallyport::log
