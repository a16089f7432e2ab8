// YAML as a tree of our own, each node with its place. yaml-cpp's exceptions end here; so do its recursion and its
// memory: size, depth and the number of nodes (aliases counted as often as they are used) are bounded.
#pragma once
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/source.h"

namespace sallyport::config {

struct YamlNode {
  enum class Type : uint8_t { null, scalar, list, mapping };
  struct Entry {
    const YamlNode* key;
    const YamlNode* value;
  };
  Type type = Type::null;
  const Source* source = nullptr;
  int line = 0;  // as YAML marks them: from 0, in bytes
  int column = 0;
  std::string tag;                     // "!file", or another the user wrote; empty for what YAML itself defines
  std::string value;                   // scalar
  std::vector<const YamlNode*> items;  // list
  std::vector<Entry> entries;          // mapping, in the order written, duplicates included

  Position position() const { return source->position(line, column); }
  bool is_null() const noexcept { return type == Type::null; }
  bool is_scalar() const noexcept { return type == Type::scalar; }
  bool is_list() const noexcept { return type == Type::list; }
  bool is_mapping() const noexcept { return type == Type::mapping; }
};

// The documents of one file. Nodes live as long as this; an alias is a second pointer to the same node, never a cycle.
struct Yaml {
  struct Wrong {
    Position at;
    std::string message;
  };
  std::deque<YamlNode> nodes;
  std::vector<const YamlNode*> documents;
  std::optional<Wrong> wrong;  // the text is not YAML, or beyond a bound: then there are no documents
};

constexpr size_t kMostFileBytes = 1024 * 1024;

std::unique_ptr<Yaml> parse_yaml(const Source& source);

}  // namespace sallyport::config
