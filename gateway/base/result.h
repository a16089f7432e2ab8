// What failed, on whose side, and whether trying again may help. Values, never exceptions: an Error is decided where
// the fact is known, and read where a status, a retry or a log line depends on it.
#pragma once
#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace sallyport {

// Whose fault: a client's gives 4xx, an upstream's 502 or 504, our own 500.
enum class Side : uint8_t { client, upstream, internal };

// Whether the same request may be tried again, as seen from the place that failed.
enum class Retry : uint8_t {
  no,
  other_endpoint,  // nothing reached this server: another may do it
  if_reused,       // only when the connection came from the pool: the server may have closed it while idle
};

enum class Kind : uint8_t {
  io,   // a system call failed; sys holds errno
  eof,  // the peer closed where it may
  cut,  // the peer closed in the middle of something
  timeout,
  refused,      // connection refused
  unavailable,  // no server to try: none has an address, or all were tried
  protocol,     // bytes that break a rule
  limit,        // a bound of ours
  tls,          // OpenSSL said no; what holds its reason
  config,       // what a user wrote, or a file they named
};

struct Error {
  Kind kind = Kind::io;
  Side side = Side::internal;
  Retry retry = Retry::no;
  int sys = 0;            // errno, or 0
  const char* what = "";  // static text: what was being done, or which rule was broken
  std::string detail;     // for people; empty on the hot path

  static Error from_errno(int sys, Side side, Retry retry, const char* what) {
    return Error{
        sys == ETIMEDOUT ? Kind::timeout : sys == ECONNREFUSED ? Kind::refused : Kind::io, side, retry, sys, what, {}};
  }
  // One line: what, the detail, the system's words.
  std::string text() const;
};

// A value or an Error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  // A value that is made here, for one that is large to move.
  explicit Result(std::in_place_t) : state_(std::in_place_index<0>) {}

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  T& operator*() & noexcept { return *std::get_if<0>(&state_); }
  const T& operator*() const& noexcept { return *std::get_if<0>(&state_); }
  T&& operator*() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() noexcept { return std::get_if<0>(&state_); }
  const T* operator->() const noexcept { return std::get_if<0>(&state_); }
  Error& error() noexcept { return *std::get_if<1>(&state_); }
  const Error& error() const noexcept { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

struct Unit {};
using Status = Result<Unit>;
inline Status success() { return Unit{}; }

}  // namespace sallyport
