// Counts what the request path takes from the heap: nothing, once its objects are warm. Sanitizers bring an operator
// new of their own, which must not be replaced.
#include "base/sanitizers.h"

#ifndef SALLYPORT_SANITIZED
#include <cstdlib>
#include <new>

#include "base/address.h"
#include "catch.h"
#include "http/forwarding.h"
#include "http/h1_reader.h"
#include "http/h1_writer.h"

namespace {
thread_local size_t allocations = 0;
}

void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

using namespace sallyport;
using namespace sallyport::http;

TEST_CASE("request path: reading, forwarding and writing allocate nothing once warm") {
  const std::string request =
      "POST /apps/files/?dir=/Documents HTTP/1.1\r\nHost: a-rather-long-name.example.tld:8443\r\n"
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0\r\nAccept: text/html\r\n"
      "X-Forwarded-For: 198.51.100.1, 10.0.0.2\r\nConnection: keep-alive, X-A\r\nX-A: 1\r\nTE: trailers\r\n"
      "Cookie: session=0123456789abcdef\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nSum: 1\r\n\r\n";
  const std::string response =
      "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/html\r\nTransfer-Encoding: "
      "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  H1RequestReader requests;
  H1ResponseReader responses;
  RequestHead request_head;
  ResponseHead response_head;
  HeaderList trailers;
  std::string out;
  const ForwardedFor from{*Address::parse_ip("10.0.0.1", 1), true, true, 443};
  const auto once = [&] {
    out.clear();
    Bytes input = as_bytes(request);
    while (!input.empty() || !requests.idle()) switch (requests.next(input, request_head, trailers)) {
        case H1Event::head:
          forward_request(request_head, from, false);
          append_request_head(out, request_head, false);
          break;
        case H1Event::body: append_chunk_prefix(out, requests.body().size()); break;
        case H1Event::complete: append_last_chunk(out, trailers); break;
        default: return false;
      }
    input = as_bytes(response);
    responses.expect(false);
    while (!input.empty() || !responses.idle()) switch (responses.next(input, response_head, trailers)) {
        case H1Event::head:
          forward_response(response_head, false);
          append_response_head(out, response_head, {});
          break;
        case H1Event::body:
        case H1Event::complete: break;
        default: return false;
      }
    return true;
  };
  REQUIRE(once());
  REQUIRE(once());
  const size_t before = allocations;
  const bool again = once();
  const size_t taken = allocations - before;
  CHECK(again);
  CHECK(taken == 0);
}
#endif
