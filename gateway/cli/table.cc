#include "cli/table.h"

#include <algorithm>

#include "cli/human.h"

namespace sallyport {
namespace {

constexpr size_t kGap = 2;

bool continues(char c) noexcept { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// The first so many code points.
std::string_view cut(std::string_view text, size_t width) noexcept {
  size_t at = 0;
  for (size_t seen = 0; at < text.size(); ++at)
    if (!continues(text[at]) && seen++ == width) break;
  return text.substr(0, at);
}

}  // namespace

std::string tinted(std::string_view text, Tint tint, bool coloured) {
  if (!coloured || tint == Tint::none) return std::string(text);
  static constexpr const char* kCodes[] = {"", "32", "33", "31", "2", "1"};
  return "\x1b[" + std::string(kCodes[static_cast<size_t>(tint)]) + "m" + std::string(text) + "\x1b[0m";
}

size_t width_of(std::string_view text) noexcept {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

void Table::add(std::vector<Cell> cells) {
  for (Cell& cell : cells) {
    cell.text = printable(cell.text);
    if (cell.text.empty()) cell = Cell("-", Tint::dim);
  }
  rows_.push_back(std::move(cells));
}

std::string Table::text(bool coloured, size_t width) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t most = width_of(columns_[i].title);
    for (const auto& row : rows_) most = std::max(most, width_of(row[i].text));
    widths.push_back(most);
  }
  std::string out;
  const auto line = [&](auto&& cell_of) {
    size_t used = 0;     // places of this line
    size_t blanks = 0;   // owed before the next text
    for (size_t i = 0; i < columns_.size(); ++i) {
      const Cell& cell = cell_of(i);
      const size_t wide = width_of(cell.text);
      const size_t padding = widths[i] - wide;
      if (columns_[i].align == Align::right) blanks += padding;
      if (width != 0 && used + blanks >= width) break;
      out.append(blanks, ' ');
      used += blanks;
      const std::string_view shown = width == 0 ? std::string_view(cell.text) : cut(cell.text, width - used);
      out += tinted(shown, cell.tint, coloured);
      used += width_of(shown);
      blanks = kGap + (columns_[i].align == Align::left ? padding : 0);
    }
    out += '\n';
  };
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.emplace_back(column.title, Tint::bold);
  line([&](size_t i) -> const Cell& { return titles[i]; });
  for (const auto& row : rows_) line([&](size_t i) -> const Cell& { return row[i]; });
  return out;
}

}  // namespace sallyport
