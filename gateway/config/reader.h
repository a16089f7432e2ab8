// Reads typed values out of nodes and reports what is wrong with them. A function that gives nothing has already
// reported why.
#pragma once
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/node.h"
#include "config/source.h"
#include "config/surroundings.h"

namespace sallyport::config {

// One of several words. `later`: a word of the configuration that this version does not support.
template <class E>
struct Word {
  std::string_view text;
  E value;
  bool later = false;
};

// One key of a mapping.
struct Field {
  std::string_view name;
  std::function<void(const YamlNode& value, const YamlNode& key)> read;
};

class Reader {
 public:
  Reader(Report& report, const Surroundings& surroundings, const std::filesystem::path& directory)
      : report_(report), surroundings_(surroundings), directory_(directory) {}

  // The service that faults concern from here on; its errors are counted from 0.
  void begin(std::string service) {
    service_ = std::move(service);
    errors_ = 0;
  }
  const std::string& service() const noexcept { return service_; }
  size_t errors() const noexcept { return errors_; }
  // While muted nothing is reported: the second reading of `defaults`, whose faults are known.
  bool muted() const noexcept { return muted_; }
  void set_muted(bool muted) noexcept { muted_ = muted; }

  void error(const Position& at, std::string message);
  void error(const YamlNode& at, std::string message) { error(at.position(), std::move(message)); }
  void warning(const Position& at, std::string message);
  void warning(const YamlNode& at, std::string message) { warning(at.position(), std::move(message)); }
  // `"backup: true" is not supported in this version`.
  void unsupported(const YamlNode& at, std::string_view what);

  // The keys of a mapping in the order written, `<<` merged in, each once. what: what the mapping is, for messages.
  std::vector<YamlNode::Entry> entries(const YamlNode& node, std::string_view what);
  // Calls the field's reader for each key; a key of no field is a fault.
  void fields(const YamlNode& node, std::string_view what, std::initializer_list<Field> known);
  void unknown_key(const YamlNode& key, std::span<const std::string_view> known);

  // A value as text: ${NAME} expanded, `!file` read.
  std::optional<std::string> text(const YamlNode& node);
  std::optional<bool> boolean(const YamlNode& node);
  std::optional<uint32_t> number(const YamlNode& node, uint32_t least, uint32_t most);
  // Bytes.
  std::optional<uint32_t> size(const YamlNode& node, uint32_t least, uint32_t most);
  // What a parser of values.h makes of a text.
  template <class T>
  std::optional<T> value(const YamlNode& node, Result<T> (*parse)(std::string_view)) {
    const auto written = text(node);
    if (!written) return std::nullopt;
    Result<T> result = parse(*written);
    if (result) return std::move(*result);
    error(node, result.error().detail);
    return std::nullopt;
  }
  template <class T>
  std::optional<std::vector<T>> values(const YamlNode& node, Result<T> (*parse)(std::string_view)) {
    std::vector<T> out;
    if (!list(node)) return std::nullopt;
    for (const YamlNode* item : node.items)
      if (auto one = value(*item, parse)) out.push_back(std::move(*one));
    return out;
  }
  // A fault unless the node is a list.
  bool list(const YamlNode& node);

  template <class E, size_t N>
  std::optional<E> word(const YamlNode& node, std::string_view what, const Word<E> (&words)[N]) {
    const auto written = text(node);
    if (!written) return std::nullopt;
    std::vector<std::string_view> known;
    std::vector<std::string_view> supported;
    for (const Word<E>& word : words) {
      known.push_back(word.text);
      if (!word.later) supported.push_back(word.text);
      if (word.text != *written) continue;
      if (!word.later) return word.value;
      unsupported(node, std::string(what) + ": " + *written);
      return std::nullopt;
    }
    unknown_word(node, what, *written, known, supported);
    return std::nullopt;
  }

  // A key of a later version: a fault unless its value is the default given.
  Field later(std::string_view name, std::initializer_list<std::string_view> defaults = {});
  void only_default(const YamlNode& value, const YamlNode& key, std::span<const std::string_view> defaults);

  const Surroundings& surroundings() const noexcept { return surroundings_; }
  const std::filesystem::path& directory() const noexcept { return directory_; }
  // A path a user wrote, relative to the folder of gateway.yaml.
  std::string absolute(const std::string& path) const { return (directory_ / path).lexically_normal().string(); }
  Report& report() noexcept { return report_; }

 private:
  void unknown_word(const YamlNode& node, std::string_view what, std::string_view found,
                    std::span<const std::string_view> known, std::span<const std::string_view> supported);
  void merge(const YamlNode& node, std::vector<YamlNode::Entry>& out, int depth);

  Report& report_;
  const Surroundings& surroundings_;
  const std::filesystem::path& directory_;
  std::string service_;
  size_t errors_ = 0;
  bool muted_ = false;
};

}  // namespace sallyport::config
