// What a check of `sallyport doctor` found.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sallyport {

enum class Grade : uint8_t { ok, warning, problem };

struct Finding {
  Grade grade = Grade::ok;
  std::string check;   // "ports", "names", …
  std::string text;    // one line
  std::string advice;  // what to do; empty where nothing is
};
using Findings = std::vector<Finding>;

inline void append(Findings& to, Findings more) {
  for (Finding& one : more) to.push_back(std::move(one));
}

}  // namespace sallyport
