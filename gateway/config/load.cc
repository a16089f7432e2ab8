#include "config/load.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "base/format.h"
#include "config/check.h"
#include "config/claims.h"
#include "config/node.h"
#include "config/parse_gateway.h"
#include "config/parse_service.h"

namespace sallyport::config {
namespace {

namespace fs = std::filesystem;

class Loader {
 public:
  Loader(const fs::path& directory, const Surroundings& surroundings, const Config* previous)
      : surroundings_(surroundings), previous_(previous) {
    std::error_code problem;
    config_.directory = fs::absolute(directory, problem).lexically_normal();
    if (problem) config_.directory = directory;
    if (!config_.directory.has_filename()) config_.directory = config_.directory.parent_path();
    if (previous != nullptr) {
      serving_ = previous->services;
      serving_.insert(serving_.end(), previous->kept.begin(), previous->kept.end());
    }
  }

  Config load() {
    if (!surroundings_.is_directory(config_.directory)) {
      report_.add(Severity::error, {kGatewayFile, 0, 0}, format("there is no folder {}", config_.directory.string()));
      config_.gateway_faulty = true;
    }
    Reader reader(report_, surroundings_, config_.directory);
    GatewayFile gateway = read_gateway(reader);
    config_.gateway = std::move(gateway.gateway);
    read_services(reader, gateway);
    refuse_shared_names();
    settle_routes();
    take_listeners(gateway.listeners);
    config_.left_out.assign(left_out_.begin(), left_out_.end());
    warn_of_surprises(config_, report_);
    config_.faults = report_.take();
    return std::move(config_);
  }

 private:
  struct Read {
    ParsedService parsed;
    bool out = false;
  };

  GatewayFile read_gateway(Reader& reader) {
    const fs::path file = config_.directory / kGatewayFile;
    auto text = surroundings_.read(file, kMostFileBytes);
    const bool absent = !text && text.error().sys == ENOENT;
    if (absent && surroundings_.read(config_.directory / "gateway.yml", kMostFileBytes))
      report_.add(Severity::warning, {"gateway.yml", 0, 0}, "is not read; the file is named gateway.yaml");
    GatewayFile gateway;
    if (text) {
      gateway = parse_gateway(reader, &report_.add_source(kGatewayFile, *text));
      config_.gateway_text = std::move(*text);
    } else {
      gateway = parse_gateway(reader, nullptr);
      if (!absent) {
        report_.add(Severity::error, {kGatewayFile, 0, 0}, text.error().text());
        gateway.faulty = true;
      }
    }
    if (!gateway.faulty && !config_.gateway_faulty) return gateway;
    config_.gateway_faulty = true;
    if (previous_ == nullptr) return gateway;
    return last_good_gateway();
  }

  // Services are read under the gateway.yaml that goes on serving, whose faults, if secrets it names are gone now, are
  // told by nobody: its settings are taken as they were.
  GatewayFile last_good_gateway() {
    Report unheard;
    Reader reader(unheard, surroundings_, config_.directory);
    last_good_ = std::make_unique<Source>(kGatewayFile, previous_->gateway_text);
    GatewayFile gateway = parse_gateway(reader, last_good_.get());
    gateway.gateway = previous_->gateway;
    config_.gateway_text = previous_->gateway_text;
    return gateway;
  }

  std::string shown(const fs::path& file) const {
    const std::string relative = file.lexically_relative(config_.directory).generic_string();
    return relative.empty() || relative.starts_with("..") ? file.string() : relative;
  }

  void read_services(Reader& reader, GatewayFile& gateway) {
    const fs::path folder = config_.gateway.services_directory;
    auto files = surroundings_.list(folder);
    if (!files) {
      // Nothing there at a start is a gateway without services. While serving, it is more likely a mount that is gone.
      const bool absent = files.error().sys == ENOENT;
      report_.add(absent && serving_.empty() ? Severity::warning : Severity::error, {shown(folder), 0, 0},
                  absent ? "there is no such folder, so there are no services" : files.error().text());
      for (const Service& service : serving_) left_out_.insert(service.name);
      return;
    }
    std::sort(files->begin(), files->end());
    for (const std::string& name : *files) {
      const std::string path = shown(folder / name);
      if (name.ends_with(".yml"))
        report_.add(Severity::warning, {path, 0, 0}, "is not read; files of services are named *.yaml");
      else if (name.ends_with(".yaml"))
        read_file(reader, gateway, folder / name, path, default_name(name));
    }
  }

  static std::string default_name(std::string name) {
    name.resize(name.size() - std::string_view(".yaml").size());
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '/' || c == '.'; }, '-');
    return name;
  }

  void read_file(Reader& reader, GatewayFile& gateway, const fs::path& file, const std::string& path,
                 const std::string& name) {
    auto text = surroundings_.read(file, kMostFileBytes);
    if (!text) {
      report_.add(Severity::error, {path, 0, 0}, text.error().text(), name);
      return leave_out_file(path, name);
    }
    yaml_.push_back(parse_yaml(report_.add_source(path, std::move(*text))));
    const Yaml& yaml = *yaml_.back();
    if (yaml.wrong) {
      report_.add(Severity::error, yaml.wrong->at, yaml.wrong->message, name);
      return leave_out_file(path, name);
    }
    std::vector<const YamlNode*> nodes;
    for (const YamlNode* document : yaml.documents) {
      if (document->is_list())
        nodes.insert(nodes.end(), document->items.begin(), document->items.end());
      else if (!document->is_null())
        nodes.push_back(document);
    }
    if (nodes.empty()) report_.add(Severity::warning, {path, 1, 1}, "holds no service");
    for (const YamlNode* node : nodes) {
      ParsedService parsed = parse_service(reader, gateway.listeners, config_.gateway.certificates.directory,
                                           gateway.defaults, *node, nodes.size() == 1 ? name : std::string());
      if (!parsed.named) leave_out_file(path, {});
      services_.push_back({std::move(parsed), false});
    }
  }

  // Which services the file held cannot be told: what was serving from it goes on.
  void leave_out_file(const std::string& path, const std::string& name) {
    if (!name.empty()) left_out_.insert(name);
    for (const Service& service : serving_)
      if (service.at.file == path) left_out_.insert(service.name);
  }

  // One name, one service: the one already serving from its file, else the first.
  void refuse_shared_names() {
    std::map<std::string, Read*> named;
    for (Read& read : services_) {
      if (!read.parsed.named) continue;
      const auto [first, fresh] = named.emplace(read.parsed.service.name, &read);
      if (fresh) continue;
      Read* loser = &read;
      const bool first_serves = serves_from(first->second->parsed.service);
      if (!first_serves && serves_from(read.parsed.service)) std::swap(first->second, loser);
      const Service& other = first->second->parsed.service;
      report_.add(Severity::error, loser->parsed.service.at,
                  format("the name {} is already taken by the service at {}:{}:{}", quote(other.name), other.at.file,
                         other.at.line, other.at.column),
                  other.name);
      loser->out = true;
    }
  }

  bool serves_from(const Service& service) const {
    return std::any_of(serving_.begin(), serving_.end(),
                       [&](const Service& s) { return s.name == service.name && s.at.file == service.at.file; });
  }

  void settle_routes() {
    config_.services.reserve(services_.size());
    for (Read& read : services_) {
      if (read.out) continue;
      if (read.parsed.faulty) {
        if (read.parsed.named) left_out_.insert(read.parsed.service.name);
        continue;
      }
      config_.services.push_back(std::move(read.parsed.service));
    }
    services_.clear();
    for (const Service& service : config_.services) left_out_.erase(service.name);
    for (const Service& service : serving_)
      if (left_out_.count(service.name) > 0) config_.kept.push_back(service);
    const std::vector<bool> lost =
        settle_claims(config_.services, previous_ != nullptr ? &serving_ : nullptr, config_.kept, report_);
    size_t remaining = 0;
    for (size_t i = 0; i < config_.services.size(); ++i) {
      Service& service = config_.services[i];
      if (lost[i]) {
        left_out_.insert(service.name);
        continue;
      }
      if (remaining != i) config_.services[remaining] = std::move(service);
      ++remaining;
    }
    config_.services.resize(remaining);
  }

  // What a kept service listens on stays, also when it was there for that service alone.
  void take_listeners(Listeners& listeners) {
    config_.listeners = listeners.take(config_.services, config_.kept);
    if (previous_ == nullptr) return;
    for (const Service& service : config_.kept) {
      for (const std::string& name : service.listeners) {
        const Listener* before = previous_->listener(name);
        if (config_.listener(name) == nullptr && before != nullptr) config_.listeners.push_back(*before);
      }
    }
  }

  const Surroundings& surroundings_;
  const Config* previous_;
  Config config_;
  Report report_;
  std::vector<Service> serving_;
  std::deque<Read> services_;  // others point at what is in it
  std::set<std::string> left_out_;
  std::unique_ptr<Source> last_good_;
  std::vector<std::unique_ptr<Yaml>> yaml_;
};

}  // namespace

Config load(const fs::path& directory, const Surroundings& surroundings, const Config* previous) {
  return Loader(directory, surroundings, previous).load();
}

Config load(const fs::path& directory, const Config* previous) { return load(directory, Surroundings(), previous); }

}  // namespace sallyport::config
