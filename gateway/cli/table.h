// A table for people: aligned columns, two spaces between them, none at the end of a line.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport {

enum class Tint : uint8_t { none, good, warn, bad, dim, bold };
// With the codes of ECMA-48 around it, if coloured.
std::string tinted(std::string_view text, Tint tint, bool coloured);

class Table {
 public:
  enum class Align : uint8_t { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  struct Cell {
    Cell(std::string the_text, Tint the_tint = Tint::none) : text(std::move(the_text)), tint(the_tint) {}
    Cell(const char* the_text) : text(the_text) {}
    std::string text;
    Tint tint = Tint::none;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as there are columns. An empty one is shown as "-".
  void add(std::vector<Cell> cells);
  bool empty() const noexcept { return rows_.empty(); }
  size_t rows() const noexcept { return rows_.size(); }
  // width: of the terminal, to cut lines at; 0: as they are.
  std::string text(bool coloured, size_t width = 0) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

// How many places a terminal needs for it: one a code point.
size_t width_of(std::string_view text) noexcept;

}  // namespace sallyport
