#include "config/reader.h"

#include <algorithm>
#include <set>

#include "base/format.h"
#include "base/text.h"
#include "config/expand.h"
#include "config/values.h"

namespace sallyport::config {
namespace {

constexpr size_t kMostSecretBytes = 64 * 1024;

std::string describe(const YamlNode& node) {
  switch (node.type) {
    case YamlNode::Type::null: return "nothing";
    case YamlNode::Type::list: return "a list";
    case YamlNode::Type::mapping: return "a mapping";
    case YamlNode::Type::scalar: break;
  }
  return quote(node.value);
}

}  // namespace

void Reader::error(const Position& at, std::string message) {
  ++errors_;
  if (!muted_) report_.add(Severity::error, at, std::move(message), service_);
}

void Reader::warning(const Position& at, std::string message) {
  if (!muted_) report_.add(Severity::warning, at, std::move(message), service_);
}

void Reader::unsupported(const YamlNode& at, std::string_view what) {
  error(at, format("{} is not supported in this version", quote(what)));
}

void Reader::merge(const YamlNode& node, std::vector<YamlNode::Entry>& out, int depth) {
  for (const YamlNode::Entry& entry : node.entries) {
    if (!entry.key->is_scalar() || entry.key->value != "<<") out.push_back(entry);
  }
  std::set<std::string_view> written;
  for (const YamlNode::Entry& entry : out)
    if (entry.key->is_scalar()) written.insert(entry.key->value);
  for (const YamlNode::Entry& entry : node.entries) {
    if (!entry.key->is_scalar() || entry.key->value != "<<") continue;
    std::vector<const YamlNode*> bases = entry.value->is_list() ? entry.value->items : std::vector{entry.value};
    for (const YamlNode* base : bases) {
      if (!base->is_mapping() || depth == 0) {
        error(*base, format("\"<<\" takes a mapping, found {}", describe(*base)));
        continue;
      }
      std::vector<YamlNode::Entry> inherited;
      merge(*base, inherited, depth - 1);
      for (const YamlNode::Entry& more : inherited)
        if (!more.key->is_scalar() || written.insert(more.key->value).second) out.push_back(more);
    }
  }
}

std::vector<YamlNode::Entry> Reader::entries(const YamlNode& node, std::string_view what) {
  if (!node.is_mapping()) {
    error(node, format("expected a mapping for {}, found {}", what, describe(node)));
    return {};
  }
  std::vector<YamlNode::Entry> all;
  merge(node, all, 8);
  std::set<std::string_view> seen;
  std::erase_if(all, [&](const YamlNode::Entry& entry) {
    if (!entry.key->is_scalar() || !entry.key->tag.empty()) {
      error(*entry.key, format("expected a key, found {}", describe(*entry.key)));
      return true;
    }
    if (seen.insert(entry.key->value).second) return false;
    error(*entry.key, format("the key {} is written twice", quote(entry.key->value)));
    return true;
  });
  return all;
}

void Reader::fields(const YamlNode& node, std::string_view what, std::initializer_list<Field> known) {
  for (const YamlNode::Entry& entry : entries(node, what)) {
    const auto field =
        std::find_if(known.begin(), known.end(), [&](const Field& f) { return f.name == entry.key->value; });
    if (field != known.end()) {
      field->read(*entry.value, *entry.key);
      continue;
    }
    std::vector<std::string_view> names;
    for (const Field& f : known) names.push_back(f.name);
    unknown_key(*entry.key, names);
  }
}

void Reader::unknown_key(const YamlNode& key, std::span<const std::string_view> known) {
  const std::string_view near = nearest_word(key.value, known);
  std::string message = "unknown key " + quote(key.value);
  if (!near.empty()) message += format("; did you mean {}?", quote(near));
  error(key, std::move(message));
}

std::optional<std::string> Reader::text(const YamlNode& node) {
  if (!node.is_scalar()) {
    error(node, format("expected a value, found {}", describe(node)));
    return std::nullopt;
  }
  if (!node.tag.empty() && node.tag != "!file") {
    error(node, format("unknown tag {}; only !file is known", quote(node.tag)));
    return std::nullopt;
  }
  auto expanded = expand(node.value, surroundings_);
  if (!expanded) {
    error(node, expanded.error().detail);
    return std::nullopt;
  }
  if (node.tag.empty()) return std::move(*expanded);
  if (expanded->empty()) {
    error(node, "!file needs the path of a file");
    return std::nullopt;
  }
  auto secret = surroundings_.read(absolute(*expanded), kMostSecretBytes);
  if (!secret) {
    error(node, format("!file {}: {}", *expanded, secret.error().text()));
    return std::nullopt;
  }
  if (secret->ends_with('\n')) secret->pop_back();
  if (secret->ends_with('\r')) secret->pop_back();
  if (find_bad_text(*secret) != std::string::npos) {
    error(node, format("!file {}: not UTF-8 text", *expanded));
    return std::nullopt;
  }
  return std::move(*secret);
}

std::optional<bool> Reader::boolean(const YamlNode& node) {
  const auto written = text(node);
  if (!written) return std::nullopt;
  if (*written == "true") return true;
  if (*written == "false") return false;
  error(node, format("expected true or false, found {}", quote(*written)));
  return std::nullopt;
}

std::optional<uint32_t> Reader::number(const YamlNode& node, uint32_t least, uint32_t most) {
  const auto written = text(node);
  if (!written) return std::nullopt;
  const auto number = parse_number(*written);
  if (number && *number >= least && *number <= most) return static_cast<uint32_t>(*number);
  error(node, format("expected a number from {} to {}, found {}", least, most, quote(*written)));
  return std::nullopt;
}

std::optional<uint32_t> Reader::size(const YamlNode& node, uint32_t least, uint32_t most) {
  const auto written = text(node);
  if (!written) return std::nullopt;
  const auto bytes = parse_size(*written);
  if (bytes && *bytes >= least && *bytes <= most) return *bytes;
  error(node,
        bytes ? format("expected a size from {} to {}, found {}", size_text(least), size_text(most), quote(*written))
              : bytes.error().detail);
  return std::nullopt;
}

bool Reader::list(const YamlNode& node) {
  if (node.is_list()) return true;
  if (node.is_scalar())
    error(node,
          format("expected a list, such as [{}], found {}", node.value.size() > 60 ? "…" : node.value, describe(node)));
  else
    error(node, format("expected a list, found {}", describe(node)));
  return false;
}

void Reader::unknown_word(const YamlNode& node, std::string_view what, std::string_view found,
                          std::span<const std::string_view> known, std::span<const std::string_view> supported) {
  if (const std::string_view near = nearest_word(found, known); !near.empty())
    return error(node, format("unknown {} {}; did you mean {}?", what, quote(found), quote(near)));
  std::string list;
  for (size_t i = 0; i < supported.size(); ++i)
    list += format("{}{}", i == 0 ? "" : i + 1 == supported.size() ? " or " : ", ", supported[i]);
  error(node, format("unknown {} {}; expected {}", what, quote(found), list));
}

Field Reader::later(std::string_view name, std::initializer_list<std::string_view> defaults) {
  return {name, [this, known = std::vector<std::string_view>(defaults)](const YamlNode& value, const YamlNode& key) {
            only_default(value, key, known);
          }};
}

void Reader::only_default(const YamlNode& value, const YamlNode& key, std::span<const std::string_view> defaults) {
  if (!value.is_scalar() || defaults.empty()) return unsupported(key, key.value);
  const auto written = text(value);
  if (!written || std::find(defaults.begin(), defaults.end(), *written) != defaults.end()) return;
  unsupported(value, key.value + ": " + *written);
}

}  // namespace sallyport::config
