// The listeners a service can name: the built-in http, https and ssh, the user's, and the inline binds met so far.
#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "config/reader.h"

namespace sallyport::config {

class Listeners {
 public:
  Listeners();
  // The `listeners` mapping of gateway.yaml.
  void read(Reader& reader, const YamlNode& node);
  // The listener of that name, off or not; nullptr if there is none.
  const Listener* find(std::string_view name) const noexcept;
  // The listener with that bind: one that has it, or a new inline one. Its name stays valid, a pointer to it does not.
  std::string at(const Bind& bind);
  // The listener behind a name: itself, but "ssh" is the user's own listener on :22 if there is one. Empty if unknown.
  std::string named(std::string_view name);
  // For an unknown name: the message and the nearest right word.
  std::string unknown(std::string_view name) const;
  // Those that are on and needed: the user's always, ssh and inline ones when a service names them.
  std::vector<Listener> take(std::span<const Service> services, std::span<const Service> kept);

 private:
  void read_one(Reader& reader, const YamlNode& key, const YamlNode& value);
  void read_binds(Reader& reader, const YamlNode& node, Listener& listener);
  Listener& slot(const std::string& name);
  void index();
  void refuse_shared_binds(Reader& reader);

  std::vector<Listener> all_;
  std::map<std::string, size_t, std::less<>> names_;         // -> index in all_
  std::map<std::string, std::string, std::less<>> by_bind_;  // a bind's text -> its listener's name
  bool ssh_written_ = false;
};

}  // namespace sallyport::config
