// What schemas are put together from.
#pragma once
#include <nlohmann/json.hpp>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace sallyport::schema {

using json = nlohmann::ordered_json;

// Any value may come from the environment, ${NAME}, wholly or in part.
json text(const char* about, const char* pattern = nullptr);
json words(const char* about, std::initializer_list<json> values);
json boolean(const char* about);
json number(const char* about, uint64_t least, uint64_t most);
json duration(const char* about);
json size(const char* about);
json networks(const char* about);
json list_of(const char* about, json item);
json one_or_list(const char* about, const json& item);
json object(const char* about, json properties);
// The first that fits counts for the words an editor shows.
json either(const char* about, std::initializer_list<json> kinds);

// The keys of a service, and those of them that `defaults` may hold.
json service_properties();
json alerts();

constexpr const char* kHost = R"(^(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[?[0-9A-Fa-f:.]+\]?)$)";
constexpr const char* kBind = R"(^(:[0-9]{1,5}|unix:/.+|[0-9.]+:[0-9]{1,5}|\[[0-9A-Fa-f:.%]+\]:[0-9]{1,5})$)";
constexpr const char* kServer =
    R"(^(unix:/.+|\[[0-9A-Fa-f:.%]+\](:[0-9]{1,5})?|[A-Za-z0-9_.-]+(:[0-9]{1,5})?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)$)";
constexpr const char* kNetwork = R"(^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$)";
constexpr const char* kName = R"(^[A-Za-z0-9._-]{1,64}$)";
constexpr const char* kPath = R"(^/)";

}  // namespace sallyport::schema
