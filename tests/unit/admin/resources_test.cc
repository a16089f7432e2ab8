#include "admin/resources.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "catch.h"

using namespace sallyport;

namespace {

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("resources: the program carries every file of the dashboard, byte for byte") {
  std::filesystem::path folder = std::filesystem::path(SALLYPORT_SOURCE_DIR) / "gateway/admin/dashboard";
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    ++files;
    std::string name = entry.path().filename().string();
    CAPTURE(name);
    const Resource* resource = find_resource(name == "index.html" ? "/" : "/dashboard/" + name);
    REQUIRE(resource != nullptr);
    CHECK(resource->body == content(entry.path()));
  }
  CHECK(files == resources().size());
}

TEST_CASE("resources: each has a type, and an etag of its own") {
  std::set<std::string_view> etags;
  for (const Resource& resource : resources()) {
    CAPTURE(resource.path);
    CHECK(!resource.type.empty());
    CHECK(resource.etag.size() == 22);
    CHECK(resource.etag.front() == '"');
    CHECK(resource.etag.back() == '"');
    CHECK(etags.insert(resource.etag).second);
  }
  REQUIRE(find_resource("/"));
  CHECK(find_resource("/")->type == "text/html; charset=utf-8");
  CHECK(find_resource("/dashboard/main.js")->type == "text/javascript; charset=utf-8");
}

TEST_CASE("resources: only what is in the table is found") {
  for (std::string_view path : {"", "/index.html", "/dashboard", "/dashboard/", "/dashboard/../main.js", "/main.js", "//"}) {
    CAPTURE(path);
    CHECK(find_resource(path) == nullptr);
  }
}

TEST_CASE("resources: If-None-Match is a list of etags, weak or not") {
  struct Row {
    std::string_view list;
    bool named;
  };
  for (const Row& row : {Row{"", false}, Row{"\"a\"", true}, Row{"W/\"a\"", true}, Row{"\"b\", \"a\"", true},
                         Row{"\"b\" ,\t\"a\" ", true}, Row{"*", true}, Row{"\"b\"", false}, Row{"a", false}, Row{",,", false},
                         Row{"\"a", false}}) {
    CAPTURE(row.list);
    CHECK(names_etag(row.list, "\"a\"") == row.named);
  }
}

TEST_CASE("resources: the page names nothing of another place, and holds nothing inline") {
  std::string_view page = find_resource("/")->body;
  CHECK(page.find("=\"http") == page.npos);
  CHECK(page.find("=\"//") == page.npos);
  CHECK(page.find("<style") == page.npos);
  CHECK(page.find(" style=") == page.npos);
  CHECK(page.find(" onclick=") == page.npos);
  for (const Resource& resource : resources()) {
    CAPTURE(resource.path);
    CHECK(resource.body.find("innerHTML") == resource.body.npos);
    CHECK(resource.body.find("eval(") == resource.body.npos);
  }
}
