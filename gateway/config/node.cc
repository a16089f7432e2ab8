#include "config/node.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

#include "base/format.h"
#include "base/text.h"

namespace sallyport::config {
namespace {

constexpr size_t kMostNodes = 200'000;
constexpr size_t kMostDepth = 32;

struct BeyondBound {
  YAML::Mark mark;
  const char* message;
};

// Builds the tree from yaml-cpp's events. Throws BeyondBound, through yaml-cpp, to parse_yaml below.
class Builder : public YAML::EventHandler {
 public:
  Builder(Yaml& yaml, const Source& source) : yaml_(yaml), source_(source) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    // Before a stray "," yaml-cpp finds one empty document after the other and never gets past it.
    if (mark.pos == last_start_) throw BeyondBound{mark, "not valid YAML: this cannot stand here"};
    last_start_ = mark.pos;
    anchors_.clear();
    root_ = nullptr;
  }
  void OnDocumentEnd() override {
    if (root_ != nullptr) yaml_.documents.push_back(root_);
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    leaf(make(YamlNode::Type::null, mark, "?"), anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode& node = make(YamlNode::Type::scalar, mark, tag);
    node.value = value;
    last_scalar_ = &node;
    leaf(node, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const Anchor& target = anchors_.at(anchor - 1);
    if (!target.complete) throw BeyondBound{mark, "an alias stands inside the value it repeats"};
    count(mark, target.weight);
    attach(*target.node);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(make(YamlNode::Type::list, mark, tag), anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(make(YamlNode::Type::mapping, mark, tag), anchor);
  }
  void OnMapEnd() override { close(); }

  // The innermost list or mapping that is not closed yet; nullptr if there is none.
  const YamlNode* innermost() const noexcept { return open_.empty() ? nullptr : open_.back().node; }
  const YamlNode* last_scalar() const noexcept { return last_scalar_; }

 private:
  struct Anchor {
    YamlNode* node = nullptr;
    size_t weight = 0;  // nodes, aliases below it expanded
    bool complete = false;
  };
  struct Open {
    YamlNode* node;
    YAML::anchor_t anchor;
    size_t count_before;
    const YamlNode* key = nullptr;
  };

  void count(const YAML::Mark& mark, size_t more) {
    count_ += more;
    if (count_ > kMostNodes) throw BeyondBound{mark, "more values than a configuration file may hold"};
  }

  YamlNode& make(YamlNode::Type type, const YAML::Mark& mark, const std::string& tag) {
    count(mark, 1);
    YamlNode& node = yaml_.nodes.emplace_back();
    node.type = type;
    node.source = &source_;
    node.line = mark.line;
    node.column = mark.column;
    // "?" is a plain value, "!" a quoted one; YAML's own types (!!str) say nothing that we would read differently.
    if (tag != "?" && tag != "!" && !tag.starts_with("tag:yaml.org,2002:")) node.tag = tag;
    return node;
  }

  Anchor* remember(YamlNode& node, YAML::anchor_t anchor) {
    if (anchor == 0) return nullptr;
    if (anchors_.size() < anchor) anchors_.resize(anchor);
    anchors_[anchor - 1].node = &node;
    return &anchors_[anchor - 1];
  }

  void leaf(YamlNode& node, YAML::anchor_t anchor) {
    if (Anchor* known = remember(node, anchor)) {
      known->weight = 1;
      known->complete = true;
    }
    attach(node);
  }

  void open(YamlNode& node, YAML::anchor_t anchor) {
    if (open_.size() >= kMostDepth)
      throw BeyondBound{mark_of(node), "lists and mappings nested deeper than any configuration needs"};
    remember(node, anchor);
    open_.push_back({&node, anchor, count_ - 1});
  }

  void close() {
    const Open done = open_.back();
    open_.pop_back();
    if (Anchor* known = remember(*done.node, done.anchor)) {
      known->weight = count_ - done.count_before;
      known->complete = true;
    }
    attach(*done.node);
  }

  void attach(YamlNode& node) {
    if (open_.empty()) {
      root_ = &node;
      return;
    }
    Open& parent = open_.back();
    if (parent.node->is_list()) {
      parent.node->items.push_back(&node);
    } else if (parent.key == nullptr) {
      parent.key = &node;
    } else {
      // YAML marks a value that is not there where the next one begins: its key is the better place.
      if (node.is_null() && node.line > parent.key->line) {
        node.line = parent.key->line;
        node.column = parent.key->column;
      }
      parent.node->entries.push_back({parent.key, &node});
      parent.key = nullptr;
    }
  }

  static YAML::Mark mark_of(const YamlNode& node) {
    YAML::Mark mark;
    mark.line = node.line;
    mark.column = node.column;
    return mark;
  }

  Yaml& yaml_;
  const Source& source_;
  std::vector<Anchor> anchors_;
  std::vector<Open> open_;
  YamlNode* root_ = nullptr;
  const YamlNode* last_scalar_ = nullptr;
  size_t count_ = 0;
  int last_start_ = -1;
};

// yaml-cpp ends a quoted text at the end of the file, and whatever the user wrote behind the missing quote is lost in
// it. It can only be the last one.
bool is_unclosed(const Source& source, const YamlNode& scalar) {
  std::string_view text = source.text();
  if (scalar.line >= source.lines()) return false;
  text.remove_prefix(std::min(text.size(), source.offset(scalar.line) + static_cast<size_t>(scalar.column)));
  while (text.starts_with('!') || text.starts_with('&')) {  // a tag or an anchor stands before the value
    text.remove_prefix(std::min(text.size(), text.find_first_of(" \t\r\n")));
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t\r\n")));
  }
  if (!text.starts_with('"') && !text.starts_with('\'')) return false;
  const char quote = text.front();
  for (size_t i = 1; i < text.size(); ++i) {
    const bool escapes = quote == '"' ? text[i] == '\\' : text.substr(i, 2) == "''";
    if (escapes)
      ++i;
    else if (text[i] == quote)
      return false;
  }
  return true;
}

// yaml-cpp takes a value that follows a complete document for the next one, also without "---" between them.
bool follows_divider(const Source& source, int first_line) {
  for (int line = first_line; line >= 0; --line) {
    const std::string_view text = source.line(line);
    if (text.starts_with("---") || text.starts_with("...")) return true;
    const size_t begin = text.find_first_not_of(" \t");
    if (line != first_line && begin != std::string_view::npos && text[begin] != '#') return false;
  }
  return false;
}

// What yaml-cpp says, and what most likely led to it.
std::string explain(const YAML::Exception& problem, const Source& source, const YAML::Mark& mark) {
  const std::string_view line = source.line(mark.line);
  const std::string_view here = mark.column < 0 || static_cast<size_t>(mark.column) > line.size()
                                    ? std::string_view()
                                    : line.substr(static_cast<size_t>(mark.column));
  if (line.starts_with('*') || here.starts_with('*') || problem.msg.starts_with("alias not found"))
    return "not valid YAML: a value that begins with \"*\" must be quoted, such as \"*.example.tld\"";
  if (problem.msg.starts_with("the referenced anchor"))
    return "not valid YAML: a value that begins with \"*\" must be quoted, such as \"*.example.tld\"";
  if (here.starts_with('@') || here.starts_with('`') || here.starts_with('%'))
    return format("not valid YAML: a value that begins with \"{}\" must be quoted", here.front());
  if (const size_t indent = line.find_first_not_of(' '); indent != std::string_view::npos && line[indent] == '\t')
    return "not valid YAML: lines are indented with spaces, not with tabs";
  if (const size_t variable = line.find("${");
      variable != std::string_view::npos && line.find_first_of("{[") < variable)
    return "not valid YAML: within \"{ }\" and \"[ ]\" a value with \"${\" must be quoted, such as \"${NAME}\"";
  struct Saying {
    std::string_view theirs, ours;
  };
  static constexpr Saying kSayings[] = {
      {"illegal map value", "a \":\" where none may stand: a value to be quoted, or a line indented wrongly"},
      {"end of map not found", "this fits neither the line above nor one before it: look at indentation and quotes"},
      {"end of sequence not found",
       "this fits neither the line above nor one before it: look at indentation and quotes"},
      {"end of sequence flow not found", "this \"[\" is not closed"},
      {"end of map flow not found", "this \"{\" is not closed"},
      {"illegal flow end", "a closing bracket without an opening one"},
      {"illegal EOF in scalar", "this quoted text is not closed"},
  };
  for (const Saying& saying : kSayings)
    if (problem.msg == saying.theirs) return format("not valid YAML: {}", saying.ours);
  return "not valid YAML: " + problem.msg;
}

}  // namespace

std::unique_ptr<Yaml> parse_yaml(const Source& source) {
  auto yaml = std::make_unique<Yaml>();
  const auto fail = [&](Position at, std::string message) {
    yaml->documents.clear();
    yaml->wrong = Yaml::Wrong{std::move(at), std::move(message)};
  };
  if (source.text().size() > kMostFileBytes) {
    fail({source.path(), 0, 0}, "is larger than 1 MiB");
    return yaml;
  }
  if (const size_t bad = find_bad_text(source.text()); bad != std::string_view::npos) {
    fail(source.position_of_byte(bad), "not UTF-8 text");
    return yaml;
  }
  Builder builder(*yaml, source);
  try {
    std::istringstream in(source.text());
    YAML::Parser parser(in);
    while (parser.HandleNextDocument(builder)) {}
  } catch (const BeyondBound& bound) {
    fail(source.position(bound.mark.line, bound.mark.column), bound.message);
    return yaml;
  } catch (const YAML::Exception& problem) {
    YAML::Mark mark = problem.mark;
    // A bracket that is never closed is missed somewhere behind, or at no place at all: point at the bracket instead.
    const bool unclosed =
        problem.msg.find("flow not found") != std::string::npos || (mark.line <= 0 && mark.column <= 0);
    if (const YamlNode* open = builder.innermost(); open != nullptr && unclosed) {
      mark.line = open->line;
      mark.column = open->column;
    }
    fail(source.position(mark.line, mark.column), explain(problem, source, mark));
    return yaml;
  } catch (const std::exception& problem) {
    fail({source.path(), 1, 1}, format("not valid YAML: {}", problem.what()));
    return yaml;
  }
  if (const YamlNode* last = builder.last_scalar(); last != nullptr && is_unclosed(source, *last)) {
    fail(last->position(), "not valid YAML: this quoted text is not closed");
    return yaml;
  }
  for (size_t i = 1; i < yaml->documents.size(); ++i) {
    const YamlNode& document = *yaml->documents[i];
    if (document.is_null() || follows_divider(source, document.line)) continue;
    fail(document.position(),
         "not valid YAML: a new value begins where nothing may follow; a line \"---\" divides documents");
    return yaml;
  }
  return yaml;
}

}  // namespace sallyport::config
