#include "http/message.h"

#include "catch.h"
#include "http/transcript.h"

using namespace sallyport;
using namespace sallyport::http;

TEST_CASE("header list: finds, removes and sets, ignoring case, in order") {
  HeaderList list;
  CHECK(list.empty());
  list.add("Accept", "a");
  list.add("X-Real-IP", "1");
  list.add("accept", "b");
  CHECK(list.find("ACCEPT") == std::optional<std::string_view>("a"));
  CHECK(list.find(HeaderId::x_real_ip) == std::optional<std::string_view>("1"));
  CHECK_FALSE(list.find("Accep"));
  list.set("Accept", "c");
  CHECK(describe(list) == " [X-Real-IP: 1] [Accept: c]");
  CHECK(list.count(HeaderId::x_real_ip) == 1);
  CHECK(list.remove(HeaderId::x_real_ip));
  CHECK_FALSE(list.remove("x-real-ip"));
  CHECK(list.remove("accept"));
  CHECK(list.empty());
}

TEST_CASE("header list: a field may be made of another one of the same list") {
  HeaderList list;
  list.add("Name", "value");
  for (int i = 0; i < 200; ++i) {
    const auto value = list.find("Name");
    REQUIRE(value);
    list.add("Name", *value);
  }
  size_t seen = 0;
  list.for_each([&](const Header& f, HeaderId) { seen += f.name == "Name" && f.value == "value"; });
  CHECK(seen == 201);
}

TEST_CASE("header list: a cleared list keeps its room") {
  HeaderList list;
  for (int i = 0; i < 50; ++i) list.add("Some-Name", "some value");
  const size_t room = list.capacity_bytes();
  list.clear();
  CHECK(list.empty());
  CHECK(list.capacity_bytes() == room);
}

TEST_CASE("header ids: every name the gateway looks at, in any case") {
  using enum HeaderId;
  const std::vector<std::pair<std::string, HeaderId>> rows = {{"Connection", connection},
                                                              {"Content-Length", content_length},
                                                              {"Cookie", cookie},
                                                              {"Expect", expect},
                                                              {"Forwarded", forwarded},
                                                              {"Host", host},
                                                              {"Keep-Alive", keep_alive},
                                                              {"Proxy-Authenticate", proxy_authenticate},
                                                              {"Proxy-Authorization", proxy_authorization},
                                                              {"Proxy-Connection", proxy_connection},
                                                              {"TE", te},
                                                              {"Trailer", trailer},
                                                              {"Transfer-Encoding", transfer_encoding},
                                                              {"Upgrade", upgrade},
                                                              {"HTTP2-Settings", http2_settings},
                                                              {"X-Forwarded-For", x_forwarded_for},
                                                              {"X-Forwarded-Host", x_forwarded_host},
                                                              {"X-Forwarded-Port", x_forwarded_port},
                                                              {"X-Forwarded-Proto", x_forwarded_proto},
                                                              {"X-Real-IP", x_real_ip},
                                                              {"Authorization", authorization},
                                                              {"Set-Cookie", set_cookie},
                                                              {"Location", location},
                                                              {"Date", date},
                                                              {"Server", server},
                                                              {"User-Agent", user_agent},
                                                              {"Referer", referer}};
  CHECK(rows.size() == static_cast<size_t>(referer));  // `other` is none of them
  for (auto [name, id] : rows) {
    CAPTURE(name);
    CHECK(header_id(name) == id);
    for (char& c : name) c = static_cast<char>(std::toupper(c));
    CHECK(header_id(name) == id);
    for (char& c : name) c = static_cast<char>(std::tolower(c));
    CHECK(header_id(name) == id);
    name.back() = '~';
    CHECK(header_id(name) == other);
    CHECK(header_id(name + "x") == other);
  }
  CHECK(header_id("") == other);
}

TEST_CASE("tokens and field values: exactly RFC 9110's characters") {
  const std::string_view token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (int c = 0; c < 256; ++c) {
    CAPTURE(c);
    const std::string one(1, static_cast<char>(c));
    CHECK(is_token(one) == (token.find(one) != std::string_view::npos));
    CHECK(is_field_value(one) == (c == '\t' || (c >= 0x20 && c != 0x7f)));
  }
  CHECK_FALSE(is_token(""));
  CHECK(is_field_value(""));
  // Where several bytes are looked at in a step, and what is beside it is next to one of the limits.
  for (int c = 0; c < 256; ++c)
    for (const char beside : {'a', '\t', ' ', '~', '\x80', '\xff'})
      for (size_t at = 0; at < 18; ++at) {
        std::string text(18, beside);
        text[at] = static_cast<char>(c);
        const bool control = (c < 0x20 && c != '\t') || c == 0x7f;
        if (is_field_value(text) == control || find_control(text, 0) != (control ? at : text.size()))
          FAIL_CHECK(c << " at " << at << " among " << static_cast<int>(beside));
      }
}

TEST_CASE("authority: host and port, or nothing") {
  struct Row {
    const char* text;
    const char* host;  // nullptr: refused
    uint16_t port = 0;
  };
  const Row rows[] = {
      {"example.tld", "example.tld"},
      {"EXAMPLE.tld.", "example.tld"},
      {"example.tld:8443", "example.tld", 8443},
      {"example.tld.:1", "example.tld", 1},
      {"a_b-c.d", "a_b-c.d"},
      {"10.0.0.1:80", "10.0.0.1", 80},
      {"localhost", "localhost"},
      {"x:00080", "x", 80},
      {"x:65535", "x", 65535},
      {"[::1]", "[::1]"},
      {"[2001:DB8::A]:443", "[2001:db8::a]", 443},
      {"[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]"},
      {"", nullptr},
      {".", nullptr},
      {":80", nullptr},
      {"name:", nullptr},
      {"name:8x", nullptr},
      {"name:x", nullptr},
      {"name:0", nullptr},
      {"name:65536", nullptr},
      {"name:000080", nullptr},
      {"name:-1", nullptr},
      {"name:+1", nullptr},
      {"name: 80", nullptr},
      {"name :80", nullptr},
      {"name:80:80", nullptr},
      {"name:80 ", nullptr},
      {" name", nullptr},
      {"a b", nullptr},
      {"user@name", nullptr},
      {"name/", nullptr},
      {"name?x", nullptr},
      {"name#x", nullptr},
      {"name\\x", nullptr},
      {"a..b", nullptr},
      {".a", nullptr},
      {"a,b", nullptr},
      {"*", nullptr},
      {"*.a.tld", nullptr},
      {"a%41", nullptr},
      {"\xc3\xa9.tld", nullptr},
      {"name\t", nullptr},
      {"::1", nullptr},
      {"[::1", nullptr},
      {"[::1]x", nullptr},
      {"[::1]:", nullptr},
      {"[::1]80", nullptr},
      {"[]", nullptr},
      {"[10.0.0.1]", nullptr},
      {"[name]", nullptr},
      {"[fe80::1%eth0]", nullptr},
      {"[fe80::1%25eth0]", nullptr},
      {"[[::1]]", nullptr},
      {"[v1.a]", nullptr},
      {"http://a", nullptr},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    std::string host;
    uint16_t port = 99;
    CHECK(parse_authority(row.text, host, port) == (row.host != nullptr));
    if (row.host == nullptr) continue;
    CHECK(host == row.host);
    CHECK(port == row.port);
  }
  std::string host;
  uint16_t port = 0;
  CHECK_FALSE(parse_authority(std::string_view("[::1\0x]", 7), host, port));
  CHECK_FALSE(parse_authority(std::string_view("a\0b", 3), host, port));
  CHECK_FALSE(parse_authority(std::string(64, 'a') + ".tld", host, port));
}

TEST_CASE("list fields: elements are trimmed, empty ones left out") {
  const auto split = [](std::string_view list) {
    std::string out;
    for_each_element(list, [&](std::string_view element) { out += fmt::format("<{}>", element); });
    return out;
  };
  CHECK(split("") == "");
  CHECK(split(" , ,\t") == "");
  CHECK(split("a") == "<a>");
  CHECK(split(" a b ,c\t, ,d,") == "<a b><c><d>");
}

TEST_CASE("request head: the path is the target without its query") {
  RequestHead head;
  for (auto [target, path] : {std::pair{"/a/b?c?d", "/a/b"}, {"/", "/"}, {"/?", "/"}, {"*", "*"}, {"/a", "/a"}}) {
    head.target = target;
    CHECK(head.path() == path);
  }
}
