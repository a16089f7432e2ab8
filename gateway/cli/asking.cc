#include "cli/asking.h"

#include <cstdio>

#include "admin/target.h"
#include "base/format.h"
#include "cli/human.h"

namespace sallyport {
namespace {

Error told(std::string text) { return {Kind::protocol, Side::internal, Retry::no, 0, "", std::move(text)}; }

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace

Result<std::string> answer_text(const AdminClient& client, const Question& question) {
  auto reply = client.ask(question.method, question.target, question.body, question.patience);
  if (!reply) return reply.error();
  if (reply->status < 400) return std::move(reply->body);
  const Json json = parse_json(reply->body);
  const std::string why = json.is_object() ? text_in(json, "error") : std::string();
  return told(why.empty() ? format("the gateway answers with status {}", reply->status) : printable(why));
}

Result<Json> answer_json(const AdminClient& client, const Question& question) {
  auto text = answer_text(client, question);
  if (!text) return text.error();
  Json json = parse_json(*text);
  if (!json.is_object()) return told("what answers there is no gateway of this version");
  return json;
}

Result<Json> answer_pages(const AdminClient& client, const std::string& target, const char* list) {
  constexpr size_t kPage = 1000;
  Json whole;
  for (size_t offset = 0;; offset += kPage) {
    const char joint = target.find('?') == std::string::npos ? '?' : '&';
    auto part = answer_json(client, {"GET", format("{}{}limit={}&offset={}", target, joint, kPage, offset)});
    if (!part) return part;
    const size_t count = (*part)[list].size();
    const auto total = static_cast<size_t>(number_in(*part, "total"));
    if (offset == 0) {
      whole = std::move(*part);
    } else {
      for (Json& one : (*part)[list]) whole[list].push_back(std::move(one));
    }
    if (count < kPage || whole[list].size() >= total) return whole;
  }
}

int failed(const Error& error) {
  std::fprintf(stderr, "sallyport: %s\n", error.detail.c_str());
  return 1;
}

int show_result(const Asking& asking, const Result<Json>& answer, const std::function<std::string(const Json&)>& show) {
  if (!answer) return failed(answer.error());
  print(asking.json ? text_of(*answer) + "\n" : show(*answer));
  return 0;
}

int ask_and_show(const Asking& asking, const Question& question, const std::function<std::string(const Json&)>& show) {
  const AdminClient client(asking.directory, asking.socket);
  return show_result(asking, answer_json(client, question), show);
}

std::string text_in(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

double number_in(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>() : 0;
}

bool flag_in(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_boolean() && found->get<bool>();
}

const Json& part_of(const Json& json, const char* key) {
  static const Json kEmpty = Json::object();
  const auto found = json.find(key);
  return found != json.end() ? *found : kEmpty;
}

std::string target_with(std::string_view path, std::initializer_list<std::pair<const char*, std::string>> parameters) {
  std::string out(path);
  char joint = '?';
  for (const auto& [name, value] : parameters) {
    if (value.empty()) continue;
    out += format("{}{}={}", joint, name, percent_encoded(value));
    joint = '&';
  }
  return out;
}

}  // namespace sallyport
