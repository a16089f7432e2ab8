#include "runtime/state_files.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <iterator>
#include <map>

#include "base/clock.h"
#include "base/format.h"
#include "base/unique_fd.h"
#include "transport/crypto.h"

namespace sallyport {
namespace {

constexpr std::string_view kFirstLine = "sallyport sticky 1";
constexpr size_t kSecret = 32;
constexpr uintmax_t kMostBytes = 1024UL * 1024 * 1024;

Error failed(const std::filesystem::path& path, const char* what) {
  Error error = Error::from_errno(errno, Side::internal, Retry::no, what);
  error.detail = path.string();
  return error;
}

// 4 or 16 bytes in network order.
std::string ip_text(std::string_view bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
  return text;
}

bool write_all(int fd, std::string_view text) noexcept {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    text.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// A new file beside the old one, on the disk before it takes the name.
Status replace_file(const std::filesystem::path& path, std::string_view text) {
  const std::filesystem::path fresh = path.string() + ".new";
  UniqueFd fd(open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return failed(fresh, "cannot write");
  if (!write_all(fd.get(), text) || fsync(fd.get()) != 0) {
    Error error = failed(fresh, "cannot write");
    unlink(fresh.c_str());
    return error;
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) return failed(path, "cannot rename");
  return success();
}

}  // namespace

Status StateFiles::cookie_secret(std::string& out) const {
  const std::filesystem::path path = directory_ / "cookie.key";
  std::ifstream file(path, std::ios::binary);
  out.assign(std::istreambuf_iterator<char>(file), {});
  if (out.size() == kSecret) return success();
  out.resize(kSecret);
  if (!random_bytes(reinterpret_cast<uint8_t*>(out.data()), kSecret))
    return Error{Kind::io, Side::internal, Retry::no, 0, "no random numbers", {}};
  std::error_code ignored;
  std::filesystem::create_directories(directory_, ignored);
  return replace_file(path, out);
}

bool parse_sticky_line(std::string_view line, StickyLine& out) {
  std::string_view parts[4];
  for (size_t i = 0; i < 4; ++i) {
    const size_t tab = i < 3 ? line.find('\t') : line.size();
    if (tab == std::string_view::npos) return false;
    parts[i] = line.substr(0, tab);
    line.remove_prefix(std::min(line.size(), tab + 1));
  }
  const auto address = Address::parse_ip(parts[1], 0);
  if (!address || parts[0].empty() || parts[2].size() != 16) return false;
  const auto number = [](std::string_view text, auto& value, int base) {
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value, base);
    return end.ec == std::errc() && end.ptr == text.data() + text.size();
  };
  if (!number(parts[2], out.server, 16) || !number(parts[3], out.used_unix_ms, 10)) return false;
  out.service = parts[0];
  out.client = address->ip_bytes();
  return true;
}

Status StateFiles::load_sticky(const Snapshot& snapshot, uint64_t now_ms) const {
  const std::filesystem::path path = directory_ / "sticky";
  std::error_code missing;
  const uintmax_t size = std::filesystem::file_size(path, missing);
  if (missing) return success();
  std::ifstream file(path);
  std::string line;
  if (size > kMostBytes || !std::getline(file, line) || line != kFirstLine)
    return Error{Kind::config, Side::internal, Retry::no, 0, "not a file of sticky clients", path.string()};
  const int64_t now = unix_ms();
  std::map<std::string_view, StickyTable*> tables;
  for (const auto& service : snapshot.services)
    if (service->upstream && service->upstream->sticky)
      tables.emplace(service->config.name, service->upstream->sticky.get());
  size_t bad = 0;
  while (std::getline(file, line)) {
    StickyLine one;
    if (!parse_sticky_line(line, one)) {
      ++bad;
      continue;
    }
    const auto table = tables.find(one.service);
    if (table == tables.end()) continue;
    const int64_t idle = std::max<int64_t>(0, now - one.used_unix_ms);
    table->second->restore({one.client, one.server, static_cast<uint64_t>(idle)}, now_ms);
  }
  if (bad == 0) return success();
  return Error{Kind::config, Side::internal, Retry::no, 0, "lines that are none", format("{} in {}", bad, path.string())};
}

Status StateFiles::save_sticky(const Snapshot& snapshot, uint64_t now_ms) {
  uint64_t uses = 0;
  for (const auto& service : snapshot.services)
    if (service->upstream && service->upstream->sticky) uses += service->upstream->sticky->uses();
  if (uses == saved_uses_) return success();
  std::string out(kFirstLine);
  out += '\n';
  const int64_t now = unix_ms();
  for (const auto& service : snapshot.services) {
    if (!service->upstream || !service->upstream->sticky) continue;
    for (const StickyTable::Entry& entry : service->upstream->sticky->entries(now_ms))
      format_to(std::back_inserter(out), "{}\t{}\t{:016x}\t{}\n", service->config.name, ip_text(entry.client), entry.server,
                now - static_cast<int64_t>(entry.idle_ms));
  }
  std::error_code ignored;
  std::filesystem::create_directories(directory_, ignored);
  Status saved = replace_file(directory_ / "sticky", out);
  if (saved) saved_uses_ = uses;
  return saved;
}

}  // namespace sallyport
