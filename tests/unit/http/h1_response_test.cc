#include "catch.h"
#include "http/transcript.h"

using namespace sallyport;
using namespace sallyport::http;

namespace {

struct Good {
  const char* name;
  std::string bytes;
  std::string says;
  bool to_head = false;
};

std::vector<Good> good() {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  return {
      {"sized", ok + "Content-Length: 5\r\nServer: x\r\n\r\nhello",
       "head 200 OK 1.1 sized:5 length keep [Server: x]\nbody hello\ncomplete\n"},
      {"sized, zero", ok + "Content-Length: 0\r\n\r\n", "head 200 OK 1.1 sized:0 length keep\ncomplete\n"},
      {"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "head 200  1.1 sized:0 length keep\ncomplete\n"},
      {"empty reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "head 200  1.1 sized:0 length keep\ncomplete\n"},
      {"odd reason", "HTTP/1.1 799 a\tb \xe9!\r\nContent-Length: 0\r\n\r\n",
       "head 799 a\tb \xe9! 1.1 sized:0 length keep\ncomplete\n"},
      {"chunked", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
       "head 200 OK 1.1 chunked:0 keep\nbody abc\ncomplete [X: y]\n"},
      {"close", ok + "Content-Length: 0\r\nConnection: close\r\n\r\n",
       "head 200 OK 1.1 sized:0 length [Connection: close]\ncomplete\n"},
      {"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "head 200 OK 1.0 sized:1 length\nbody x\ncomplete\n"},
      {"1.0 keep-alive", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx",
       "head 200 OK 1.0 sized:1 length keep [Connection: keep-alive]\nbody x\ncomplete\n"},
      {"to HEAD, with a length", ok + "Content-Length: 500\r\n\r\n", "head 200 OK 1.1 none:500 length keep\ncomplete\n",
       true},
      {"to HEAD, chunked", ok + "Transfer-Encoding: chunked\r\n\r\n", "head 200 OK 1.1 none:0 keep\ncomplete\n", true},
      {"to HEAD, nothing said", ok + "\r\n", "head 200 OK 1.1 none:0 keep\ncomplete\n", true},
      {"204", "HTTP/1.1 204 No Content\r\n\r\n", "head 204 No Content 1.1 none:0 keep\ncomplete\n"},
      {"204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
       "head 204 No Content 1.1 none:0 keep\ncomplete\n"},
      {"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
       "head 304 Not Modified 1.1 none:500 length keep\ncomplete\n"},
      {"interim, then final",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok +
           "Content-Length: 1\r\n\r\nx",
       "head 100 Continue 1.1 none:0 keep\ncomplete\nhead 103 Early Hints 1.1 none:0 keep [Link: </a>]\ncomplete\n"
       "head 200 OK 1.1 sized:1 length keep\nbody x\ncomplete\n"},
      {"interim, then final to HEAD", "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 9\r\n\r\n",
       "head 100 Continue 1.1 none:0 keep\ncomplete\nhead 200 OK 1.1 none:9 length keep\ncomplete\n", true},
  };
}

struct Bad {
  const char* name;
  std::string bytes;
};

std::vector<Bad> bad() {
  using namespace std::string_literals;
  const auto with = [](const std::string& fields) { return "HTTP/1.1 200 OK\r\n" + fields + "\r\n"; };
  return {
      {"garbage", "this is not http\r\n\r\n"},
      {"one wrong byte", "X"},
      {"binary", "\0\1\2"s},
      {"html without a head", "<html>"},
      {"SSH", "SSH-2.0-x\r\n"},
      {"empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n"},
      {"lower case", "http/1.1 200 OK\r\n\r\n"},
      {"2.0", "HTTP/2 200 OK\r\n\r\n"},
      {"1.2", "HTTP/1.2 200 OK\r\n\r\n"},
      {"ICY", "ICY 200 OK\r\n\r\n"},
      {"version only", "HTTP/1.1\r\n\r\n"},
      {"no status", "HTTP/1.1 OK\r\n\r\n"},
      {"two digits", "HTTP/1.1 20 OK\r\n\r\n"},
      {"four digits", "HTTP/1.1 2000 OK\r\n\r\n"},
      {"letter in the status", "HTTP/1.1 2x0 OK\r\n\r\n"},
      {"status 0xx", "HTTP/1.1 099 OK\r\n\r\n"},
      {"negative", "HTTP/1.1 -20 OK\r\n\r\n"},
      {"two spaces", "HTTP/1.1  200 OK\r\n\r\n"},
      {"tab", "HTTP/1.1\t200 OK\r\n\r\n"},
      {"control in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n"},
      {"LF ends the line", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"},
      {"LF in a field", with("A: b\nC: d\r\n")},
      {"bare CR in a field", with("A: b\rC: d\r\n")},
      {"NUL in a field", with("A: b\0\r\n"s)},
      {"obs-fold", with("A: b\r\n c\r\n")},
      {"space before a colon", with("Content-Length : 0\r\n")},
      {"no colon", with("Foo\r\n")},
      {"Content-Length negative", with("Content-Length: -1\r\n")},
      {"Content-Length twice", with("Content-Length: 1\r\nContent-Length: 2\r\n")},
      {"Content-Length twice, equal", with("Content-Length: 1\r\nContent-Length: 1\r\n")},
      {"Content-Length list", with("Content-Length: 1, 1\r\n")},
      {"Content-Length empty", with("Content-Length:\r\n")},
      {"Content-Length bad, in a 304", "HTTP/1.1 304 x\r\nContent-Length: x\r\n\r\n"},
      {"both", with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")},
      {"gzip", with("Transfer-Encoding: gzip\r\n")},
      {"gzip, chunked", with("Transfer-Encoding: gzip, chunked\r\n")},
      {"chunked, gzip", with("Transfer-Encoding: chunked, gzip\r\n")},
      {"coding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"chunk size bad", with("Transfer-Encoding: chunked\r\n") + "zz\r\n"},
      {"chunk size with LF", with("Transfer-Encoding: chunked\r\n") + "1\nx\r\n0\r\n\r\n"},
      {"trailer without a colon", with("Transfer-Encoding: chunked\r\n") + "0\r\nfoo\r\n\r\n"},
      {"garbage after an answer", with("Content-Length: 0\r\n") + "junk"},
      {"head without an end", with("A: " + std::string(40000, 'a') + "\r\n")},
  };
}

}  // namespace

TEST_CASE("response reader: what is well formed is understood, however it is cut") {
  for (const Good& row : good()) {
    CAPTURE(row.name);
    const Run whole = read_responses({row.bytes}, row.to_head);
    CHECK(whole.text == row.says);
    CHECK(whole.idle);
    CHECK(read_responses(cut_each(row.bytes, 1), row.to_head).text == row.says);
    for (size_t cut = 1; cut < row.bytes.size(); ++cut) {
      const Run cut_run = read_responses(cut_at(row.bytes, cut), row.to_head);
      if (cut_run.text != row.says) {
        CAPTURE(cut);
        CHECK(cut_run.text == row.says);
      }
    }
  }
}

TEST_CASE("response reader: garbage and unclear framing are a 502, however they are cut") {
  for (const Bad& row : bad()) {
    CAPTURE(row.name);
    const std::string says = read_responses({row.bytes}).text;
    CAPTURE(says.substr(0, 200));
    CHECK(says.find("error 502 ") != std::string::npos);
    CHECK(read_responses(cut_each(row.bytes, 1)).text == says);
    for (size_t cut = 1; cut < std::min<size_t>(row.bytes.size(), 200); ++cut)
      if (read_responses(cut_at(row.bytes, cut)).text != says) {
        CAPTURE(cut);
        CHECK(read_responses(cut_at(row.bytes, cut)).text == says);
      }
  }
}

TEST_CASE("response reader: a 101 leaves what follows in the input") {
  const Run switched =
      read_responses({"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n\x81\x05hello"});
  CHECK(switched.text == "head 101 Switching Protocols 1.1 none:0 keep [Upgrade: x] [Connection: Upgrade]\n");
  CHECK(switched.left == 7);
}

TEST_CASE("response reader: the end of the connection") {
  struct Row {
    const char* name;
    std::string bytes;
    bool complete;
    const char* why;
  };
  const std::vector<Row> rows = {
      {"nothing", "", false, "closed before a response"},
      {"between messages", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, "closed before a response"},
      {"after an interim one", "HTTP/1.1 100 Continue\r\n\r\n", false, "closed before a response"},
      {"in a status line", "HTT", false, "cut"},
      {"in a head", "HTTP/1.1 200 OK\r\nA: b\r\n", false, "cut"},
      {"body until close", "HTTP/1.1 200 OK\r\n\r\nsome", true, ""},
      {"body until close, empty", "HTTP/1.0 200 OK\r\n\r\n", true, ""},
      {"body until close, said to persist", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", true, ""},
      {"sized, cut", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", false, "cut"},
      {"chunked, cut in data", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", false, "cut"},
      {"chunked, cut between chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false,
       "cut"},
      {"chunked, cut in a size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5", false, "cut"},
      {"chunked, cut before the last line", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", false, "cut"},
      {"chunked, cut in the last line", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r", false, "cut"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    H1ResponseReader reader;
    ResponseHead head;
    run(reader, head, {row.bytes});
    const H1Event event = reader.end_of_input();
    CHECK(event == (row.complete ? H1Event::complete : H1Event::error));
    CHECK(std::string(reader.failure().why) == row.why);
    if (!row.complete) CHECK(reader.failure().status == 502);
    if (row.bytes.find("\r\n\r\n") != std::string::npos && row.complete) CHECK_FALSE(head.keep_alive);
  }
}

TEST_CASE("response reader: the end right after a head that needs no more is no cut") {
  H1ResponseReader reader;
  ResponseHead head;
  HeaderList trailers;
  Bytes input = as_bytes("HTTP/1.1 204 No Content\r\n\r\n");
  REQUIRE(reader.next(input, head, trailers) == H1Event::head);
  CHECK(reader.end_of_input() == H1Event::complete);
}

TEST_CASE("response reader: expect holds for one answer and is told anew") {
  H1ResponseReader reader;
  ResponseHead head;
  reader.expect(true);
  CHECK(run(reader, head, {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"}).text ==
        "head 200 OK 1.1 none:3 length keep\ncomplete\n");
  reader.expect(false);
  CHECK(run(reader, head, {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"}).text ==
        "head 200 OK 1.1 sized:3 length keep\nbody abc\ncomplete\n");
}

TEST_CASE("response reader: a reader holds little while it waits") { CHECK(sizeof(H1ResponseReader) <= 128); }
