// The text of one file, kept while it is read: where a byte stands, and the line to show beside a fault.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"

namespace sallyport::config {

// Positions count lines from 1 and columns in characters from 1; YAML marks count lines and bytes from 0.
class Source {
 public:
  Source(std::string path, std::string text);
  const std::string& path() const noexcept { return path_; }
  const std::string& text() const noexcept { return text_; }
  Position position(int mark_line, int mark_column) const;
  Position position_of_byte(size_t offset) const;
  // The whole line at a mark, without its line end; empty behind the last one.
  std::string_view line(int mark_line) const noexcept;
  size_t offset(int mark_line) const noexcept { return starts_[static_cast<size_t>(mark_line)]; }
  int lines() const noexcept { return static_cast<int>(starts_.size()); }
  // The line with tabs and controls as spaces and secrets masked; empty if the position lies behind what fits a
  // terminal.
  std::string excerpt(const Position& at) const;

 private:
  std::string path_;
  std::string text_;
  std::vector<size_t> starts_;
};

// Collects faults, finds their excerpts and bounds their number per file. Owns the sources.
class Report {
 public:
  const Source& add_source(std::string path, std::string text);
  void add(Severity severity, const Position& at, std::string message, std::string service = {},
           bool with_excerpt = true);
  size_t errors() const noexcept { return errors_; }
  // In file order: gateway.yaml first, then the services' files as they were read.
  std::vector<Fault> take();

 private:
  std::map<std::string, std::unique_ptr<Source>, std::less<>> sources_;
  std::map<std::string, size_t, std::less<>> order_;   // file -> rank
  std::map<std::string, size_t, std::less<>> counts_;  // file -> faults so far
  std::vector<Fault> faults_;
  size_t errors_ = 0;
};

// What a user wrote, for a message: in double quotes, controls made visible, cut when long.
std::string quote(std::string_view text);

// The offset of the first byte that YAML text may not hold (not UTF-8, or a control), or npos.
size_t find_bad_text(std::string_view text) noexcept;

}  // namespace sallyport::config
