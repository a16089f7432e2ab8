#include "cli/human.h"

#include <cmath>
#include <ctime>

#include "base/format.h"

namespace sallyport {
namespace {

// Two figures, one behind the point where there is room for it.
std::string short_number(double value) {
  if (value >= 9.95) return format("{:.0f}", value);
  std::string text = format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

}  // namespace

std::string bytes_text(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  while (bytes >= 1023.5 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return format("{} {}", unit == 0 ? format("{:.0f}", bytes) : short_number(bytes), kUnits[unit]);
}

std::string count_text(double count) {
  static constexpr const char* kUnits[] = {"", "k", "M", "G", "T"};
  size_t unit = 0;
  while (count >= 999.5 && unit + 1 < std::size(kUnits)) {
    count /= 1000;
    ++unit;
  }
  if (unit == 0) return format("{:.0f}", count);
  return format("{}{}", count < 99.95 ? format("{:.1f}", count) : format("{:.0f}", count), kUnits[unit]);
}

std::string rate_text(double per_second) {
  if (per_second == 0) return "0";
  if (per_second < 0.1) return "<0.1";
  return per_second < 9.95 ? format("{:.1f}", per_second) : count_text(per_second);
}

std::string duration_text(double seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 9.95) return format("{:.1f}s", seconds);
  const auto whole = static_cast<uint64_t>(std::llround(seconds));
  if (whole < 60) return format("{}s", whole);
  if (whole < 3600) return format("{}m {}s", whole / 60, whole % 60);
  if (whole < 86'400) return format("{}h {}m", whole / 3600, whole % 3600 / 60);
  return format("{}d {}h", whole / 86'400, whole % 86'400 / 3600);
}

std::string time_text(int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts{};
  localtime_r(&seconds, &parts);
  char text[32];
  const size_t size = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return {text, size};
}

std::string printable(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // C1 controls, which some terminals obey, are two bytes in UTF-8.
    const bool c1 = byte == 0xc2 && i + 1 < text.size() && (static_cast<unsigned char>(text[i + 1]) & 0xe0) == 0x80;
    if (byte < 0x20 || byte == 0x7f)
      format_to(std::back_inserter(out), "\\x{:02x}", byte);
    else if (c1)
      format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(text[++i]));
    else
      out += text[i];
  }
  return out;
}

}  // namespace sallyport
