// Figures as people read them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport {

std::string bytes_text(double bytes);       // "512 B", "1.5 KiB", "20 MiB"
std::string count_text(double count);       // "950", "12.3k", "4.5M"
std::string rate_text(double per_second);   // "0", "0.3", "12", "1.2k"
std::string duration_text(double seconds);  // "0.4s", "12s", "3m 20s", "2h 5m", "4d 3h"
std::string time_text(int64_t unix_ms);     // "2026-11-20 13:37:00", local
// Without what could steer a terminal: control characters become \xNN.
std::string printable(std::string_view text);

}  // namespace sallyport
