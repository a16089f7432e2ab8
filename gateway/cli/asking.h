// What the commands for a running gateway share: how they ask, and how they tell what was answered.
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "admin/json.h"
#include "base/result.h"
#include "cli/admin_client.h"

namespace sallyport {

struct Asking {
  std::filesystem::path directory = "/etc/sallyport";
  std::string socket;
  bool json = false;
};

struct Question {
  std::string_view method = "GET";
  std::string target;
  std::string body{};
  std::chrono::seconds patience{10};
};

// What was answered, where it was no error: an error's detail is what to tell.
Result<std::string> answer_text(const AdminClient& client, const Question& question);
Result<Json> answer_json(const AdminClient& client, const Question& question);
// A list that is told in parts, whole.
Result<Json> answer_pages(const AdminClient& client, const std::string& target, const char* list);

// Asks, and prints: the answer as it is with --json, else what show() makes of it. The exit code.
int ask_and_show(const Asking& asking, const Question& question, const std::function<std::string(const Json&)>& show);
int show_result(const Asking& asking, const Result<Json>& answer, const std::function<std::string(const Json&)>& show);
int failed(const Error& error);

// Of an answer's fields, which may be absent.
std::string text_in(const Json& json, const char* key);
double number_in(const Json& json, const char* key);
bool flag_in(const Json& json, const char* key);
const Json& part_of(const Json& json, const char* key);  // an empty object where it is absent

// "/api/v1/sessions" and its parameters; those without a value are left out.
std::string target_with(std::string_view path, std::initializer_list<std::pair<const char*, std::string>> parameters);

}  // namespace sallyport
