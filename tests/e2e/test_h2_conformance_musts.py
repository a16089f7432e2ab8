"""Each MUST and MUST NOT of RFC 9113 sections 3 to 8 and of RFC 7541 that concerns a server, and the cases that show it.

A row: section, the rule in a few words, its cases. "audit" stands for harness/h2_audit.py, which holds a rule for senders in
every case of this suite; AUDITED below shows that it notices. Where a name ends in "*", every case that begins so is meant.
What concerns only clients, proxies that tunnel, or those who write extensions is not here: 8.4 but for a client's push, 8.5 on
making the TCP connection, 5.5 on negotiating.
"""
import importlib

import pytest

from harness import h2_frames as f
from harness.h2_audit import Audit, Violation
from harness.h2_cases import IDS
from harness.h2_frames import ACK, END_HEADERS, PADDED, Code

for name in ("framing", "streams", "windows", "messages", "hpack"):
    importlib.import_module(f"test_h2_conformance_{name}")

RFC_9113 = """
3.2    | "h2c" is not selected in TLS                                     | 3.2-alpn-h2c*
3.2    | both send a preface once TLS is done                             | 3.4-server-settings-come-first
3.3    | over TLS only ALPN begins HTTP/2                                 | 3.3-preface-in-tls-without-alpn
3.3    | with prior knowledge the server sends its preface too            | 3.3-prior-knowledge
3.4    | SETTINGS follow the client's 24 octets                           | 3.4-first-frame-*
3.4    | SETTINGS are the first frame of the server                       | audit 3.4-server-settings-come-first
3.4    | the SETTINGS of the preface are acknowledged                     | 3.4-settings-of-the-preface-are-acknowledged
3.4    | an invalid preface is a connection error                         | 3.4-no-preface 3.4-preface-with-a-wrong-end 3.3-cleartext-bad-preface
4.1    | no more than 16384 octets unless allowed                         | audit 4.1-sends-no-frame-above-16384
4.1    | frames of unknown types are ignored                              | 4.1-unknown-type-*
4.1    | unused flags are ignored                                         | 4.1-unused-flags-*
4.1    | unused flags are not sent                                        | audit 4.1-sends-clean-frames
4.1    | the reserved bit is ignored                                      | 4.1-reserved-bit-*
4.1    | the reserved bit is not sent                                     | audit 4.1-sends-clean-frames
4.2    | frames of 16384 octets are taken                                 | 4.2-data-of-16384 4.2-headers-of-16384
4.2    | too large a frame: FRAME_SIZE_ERROR                              | 4.2-data-of-16385 4.2-unknown-type-above-the-maximum
4.2    | too small a frame: FRAME_SIZE_ERROR                              | 4.2-headers-without-pad-length 4.2-headers-with-half-a-dependency 4.2-data-without-pad-length 6.8-length-7
4.2    | a size error in a frame with state is the connection's           | 4.2-headers-above-the-maximum 4.2-continuation-above-the-maximum 4.2-settings-above-the-maximum 4.2-goaway-above-the-maximum
4.3    | field blocks are contiguous, sending                             | audit
4.3    | field blocks are contiguous, receiving                           | 4.3-ping-inside-a-block 4.3-other-stream-inside-a-block 4.3-settings-inside-a-block
4.3    | a block that is not decompressed ends the connection             | 4.3-a-malformed-request-keeps-the-table 4.3-decoding-error-on-a-reset-stream
4.3    | a decoding error is COMPRESSION_ERROR                            | 4.3-decoding-error 4.3-block-cut-* 4.3-decoding-error-in-trailers
4.3.1  | after a smaller table is acknowledged, its size comes first      | audit 4.3.1-reduction-is-declared-first
4.3.1  | a block that lacks it is COMPRESSION_ERROR                       | 6.5.2-its-own-values 4.3.1-table-of-4096-at-the-start
5.1    | idle: all but HEADERS and PRIORITY are PROTOCOL_ERROR            | 5.1-idle-data 5.1-idle-rst-stream 5.1-idle-window-update 5.1-idle-continuation
5.1    | idle, of the server: HEADERS too                                 | 5.1-idle-of-the-server-*
5.1    | half-closed (remote): others are STREAM_CLOSED                   | 5.1-half-closed-*
5.1    | closed: nothing but PRIORITY is sent                             | audit 6.4-no-more-frames-after-ours
5.1    | after its reset, frames are processed minimally                  | 5.4.2-frames-after-its-reset-are-taken 4.3-a-malformed-request-keeps-the-table 6.9-data-on-reset-streams-counts
5.1.1  | client streams are odd                                           | 5.1.1-even 5.1-idle-of-the-server-headers
5.1.1  | identifiers grow; else PROTOCOL_ERROR                            | 5.1.1-lower-than-before 5.1.1-lower-than-a-closed-one
5.1.1  | stream 0 cannot be opened                                        | 5.1.1-zero
5.1.2  | above its limit: a stream error                                  | 5.1.2-above-the-limit 5.1.2-refused-before-the-limit-is-known-and-decoded
5.2.1  | the receiver's windows are respected                             | audit 6.9.1-*
5.2.2  | it reads on as soon as there is something                        | 5.2.2-reads-on-while-it-cannot-send
5.4    | what causes a connection error is reported                       | 5.4.1-*
5.4.1  | after GOAWAY for an error the connection is closed               | 5.4.1-goaway-names-the-last-stream-and-the-connection-ends
5.4.2  | ready for frames after its reset                                 | 5.4.2-frames-after-its-reset-are-taken
5.4.2  | no reset for a reset                                             | 5.4.2-no-reset-for-a-reset*
5.5    | unknown values are ignored                                       | 5.5-unknown-setting 7-unknown-code-* 6.5.2-unknown-identifier
5.5    | unknown frames are discarded                                     | 4.1-unknown-type-*
5.5    | but inside a field block: PROTOCOL_ERROR                         | 5.5-unknown-frame-*
6.1    | padding is zeros                                                 | audit
6.1    | DATA on stream 0: PROTOCOL_ERROR                                 | 6.1-stream-0
6.1    | the whole payload counts for flow control                        | 6.1-padding-counts-for-the-window 6.1-padding-is-given-back
6.1    | DATA on a stream that is not open: STREAM_CLOSED                 | 6.1-half-closed 6.1-closed
6.1    | padding as long as the payload: PROTOCOL_ERROR                   | 6.1-padding-of-the-payloads-length 6.1-padding-longer-than-the-payload
6.2    | CONTINUATION follows HEADERS without END_HEADERS                 | audit
6.2    | something else there: PROTOCOL_ERROR                             | 6.2-not-followed-by-continuation-* 6.2-continuation-of-another-stream
6.2    | HEADERS on stream 0: PROTOCOL_ERROR                              | 6.2-stream-0
6.2    | padding as long as the payload: PROTOCOL_ERROR                   | 6.2-padding-of-the-payloads-length 6.2-padding-longer-than-the-payload
6.3    | PRIORITY on stream 0: PROTOCOL_ERROR                             | 6.3-stream-0
6.3    | PRIORITY of another length: FRAME_SIZE_ERROR of the stream       | 6.3-length-*
6.4    | nothing more for a stream that was reset                         | 6.4-no-more-frames-after-ours
6.4    | ready for frames after its own reset                             | 5.4.2-frames-after-its-reset-are-taken
6.4    | RST_STREAM on stream 0: PROTOCOL_ERROR                           | 6.4-stream-0
6.4    | RST_STREAM is not sent for idle streams                          | audit
6.4    | RST_STREAM of an idle stream: PROTOCOL_ERROR                     | 6.4-idle 5.1-idle-rst-stream
6.4    | RST_STREAM of another length: FRAME_SIZE_ERROR                   | 6.4-length-3 6.4-length-5
6.5    | SETTINGS at the start                                            | audit 3.4-server-settings-come-first
6.5    | all settings are supported                                       | 6.5.2-header-table-size-* 6.5.2-enable-push-0 6.5.2-max-concurrent-streams-0 6.5.2-initial-window-largest 6.5.2-max-frame-size-largest 6.5.2-max-header-list-size-largest
6.5    | an ACK with payload: FRAME_SIZE_ERROR                            | 6.5-ack-with-payload
6.5    | SETTINGS of a stream: PROTOCOL_ERROR                             | 6.5-stream-not-0 6.5-stream-not-0-open 6.5-ack-on-a-stream
6.5    | not a multiple of 6: FRAME_SIZE_ERROR                            | 6.5-length-3 6.5-length-7
6.5.2  | no PUSH_PROMISE once ENABLE_PUSH is 0                            | audit 6.6-none-is-sent-with-push-off
6.5.2  | ENABLE_PUSH other than 0 and 1: PROTOCOL_ERROR                   | 6.5.2-enable-push-2 6.5.2-enable-push-large
6.5.2  | a server's ENABLE_PUSH is 0                                      | audit 6.5.2-its-own-values
6.5.2  | INITIAL_WINDOW_SIZE above 2^31-1: FLOW_CONTROL_ERROR             | 6.5.2-initial-window-too-large 6.5.2-initial-window-all-bits
6.5.2  | its own MAX_FRAME_SIZE is within bounds                          | audit
6.5.2  | MAX_FRAME_SIZE outside: PROTOCOL_ERROR                           | 6.5.2-max-frame-size-below-the-least 6.5.2-max-frame-size-0 6.5.2-max-frame-size-too-large
6.5.2  | unknown identifiers are ignored                                  | 6.5.2-unknown-identifier 5.5-unknown-setting
6.5.3  | settings are applied as soon as they come                        | 6.5.3-applied-before-what-follows
6.5.3  | and in their order                                               | 6.5.3-last-value-counts 6.5.3-in-order-with-errors-after-it
6.5.3  | and acknowledged at once                                         | 6.5.3-each-is-acknowledged
6.6    | PUSH_PROMISE on stream 0: PROTOCOL_ERROR                         | 6.6-stream-0
6.6    | PUSH_PROMISE on a stream that is not open: PROTOCOL_ERROR        | 6.6-idle
6.7    | PING is answered with the same payload                           | 6.7-answered 6.7-each-is-answered
6.7    | an ACK is not answered                                           | audit 6.7-ack-is-not-answered
6.7    | PING of a stream: PROTOCOL_ERROR                                 | 6.7-stream-not-0*
6.7    | PING of another length: FRAME_SIZE_ERROR                         | 6.7-length-* 6.7-ack-of-length-7
6.8    | GOAWAY of a stream: PROTOCOL_ERROR                               | 6.8-stream-not-0*
6.8    | the last stream does not grow                                    | audit 6.8-last-stream-never-grows
6.8    | after GOAWAY field blocks are still processed                    | 6.8-blocks-after-goaway-are-decoded
6.8    | and DATA counts for the connection's window                      | 6.9-data-on-reset-streams-counts
6.9    | frames without flow control are always taken                     | 6.9-no-flow-control-but-for-data
6.9    | an increment of 0: PROTOCOL_ERROR                                | 6.9-increment-0-*
6.9    | WINDOW_UPDATE on closed streams is no error                      | 6.9-half-closed 6.9-closed 5.1-half-closed-window-update 5.1-closed-window-update
6.9    | DATA always counts for the connection                            | 6.9-data-on-reset-streams-counts
6.9    | WINDOW_UPDATE of another length: FRAME_SIZE_ERROR                | 6.9-length-*
6.9.1  | nothing beyond either window                                     | audit 6.9.1-stream-window-* 6.9.1-connection-window* 6.9.1-default-window
6.9.1  | a window above 2^31-1: FLOW_CONTROL_ERROR                        | 6.9.1-stream-above-the-maximum* 6.9.1-connection-above-the-maximum*
6.9.2  | a changed initial size changes all streams                       | 6.9.2-raised-for-open-streams 6.9.2-difference-counts
6.9.2  | negative windows are followed, nothing is sent                   | 6.9.2-negative-window*
6.9.2  | a change that makes a window too large: FLOW_CONTROL_ERROR       | 6.9.2-settings-push-a-window-above-the-maximum
6.10   | CONTINUATION follows until END_HEADERS                           | audit
6.10   | something else there: PROTOCOL_ERROR                             | 6.10-followed-by-*
6.10   | CONTINUATION on stream 0: PROTOCOL_ERROR                         | 6.10-stream-0 6.10-stream-0-first
6.10   | CONTINUATION of nothing: PROTOCOL_ERROR                          | 6.10-after-*
7      | unknown error codes do nothing special                           | 7-unknown-code-*
8.1    | no frames between HEADERS and CONTINUATION                       | 4.3-*-inside-a-block 6.2-not-followed-by-continuation-*
8.1    | no pseudo-header fields in trailers                              | audit 8.1-trailers-with-*
8.1    | a second head without END_STREAM is malformed                    | 8.1-second-head-*
8.1.1  | malformed requests are not forwarded, and PROTOCOL_ERROR         | 8.1.1-content-length-* 8.1.1-errors-cost-one-stream
8.2    | field names are made lower case                                  | audit 8.2-names-become-lower-case
8.2.1  | names: no controls, upper case, space, octets above 0x7e         | 8.2.1-names-forbidden-octets-*
8.2.1  | names: no colon                                                  | 8.2.1-names-forbidden-octets-inside 8.2.1-trailers-name-with-colon
8.2.1  | values: no NUL, LF, CR                                           | 8.2.1-values-forbidden-octets-*
8.2.1  | values: no white space around                                    | 8.2.1-values-white-space-*
8.2.1  | such a message is malformed, and not forwarded                   | 8.2.1-name-with-a-second-request 8.2.1-value-with-a-second-request 8.2.1-trailers-*
8.2.2  | connection-specific fields are not sent                          | audit 8.2.2-connection-specific-fields-are-removed
8.2.2  | with them a message is malformed                                 | 8.2.2-connection 8.2.2-proxy-connection 8.2.2-keep-alive 8.2.2-transfer-encoding 8.2.2-upgrade 8.2.2-trailers-*
8.2.2  | TE says nothing but trailers                                     | 8.2.2-te-*
8.2.3  | Cookie fields are joined for HTTP/1.1                            | 8.2.3-cookies-are-joined
8.3    | no other pseudo-header fields are made                           | audit
8.3    | no fields of responses in requests                               | 8.3-pseudo-field-of-responses
8.3    | undefined ones are malformed                                     | 8.3-undefined-pseudo-field 8.3-pseudo-field-without-name 8.3-pseudo-field-upper-case
8.3    | they come first                                                  | audit 8.3-pseudo-field-after-a-field 8.3-one-pseudo-field-after-a-field
8.3    | and once                                                         | audit 8.3-method-twice* 8.3-scheme-twice 8.3-path-twice* 8.3-authority-twice*
8.3.1  | Host does not count where :authority is                          | 8.3.1-host-disagrees*
8.3.1  | values are normalised before they are compared                   | 8.3.1-host-agrees-once-normalised
8.3.1  | Host for HTTP/1.1 is made from :authority                        | 8.3.1-host-comes-from-authority
8.3.1  | no userinfo                                                      | 8.3.1-userinfo*
8.3.1  | :path is not empty                                               | 8.3.1-empty-path 8.3.1-options-asterisk
8.3.1  | :method, :scheme and :path, exactly one and valid                | 8.3.1-no-method 8.3.1-no-scheme 8.3.1-no-path 8.3.1-empty-* 8.3.1-path-* 8.3.1-method-* 8.3.1-scheme-*
8.3.2  | :status in every response                                        | audit 8.3.2-status-in-every-response
8.4    | PUSH_PROMISE from a client: PROTOCOL_ERROR                       | 8.4-push-promise-*
8.5    | CONNECT without :scheme and :path                                | 8.5-connect-with-*
8.5    | only DATA and stream management in a tunnel                      | 8.5-headers-in-a-tunnel 8.5-trailers-in-a-tunnel 8.5-stream-management-in-a-tunnel
8.6    | no 101                                                           | audit 8.6-no-101
8.7    | "not processed" is said only if it is so                         | 5.1.2-above-the-limit
8.7    | GOAWAY includes what was passed on                               | 5.4.1-goaway-names-the-last-stream-and-the-connection-ends 6.8-drained-in-two-steps
"""

RFC_7541 = """
2.3.2  | duplicate entries are no error                                   | 2.3.2-duplicate-entries
2.3.3  | an index above both tables is an error                           | 2.3.3-*
3.2    | representations are processed in order                           | 3.2-fields-keep-their-order 3.2-literals-not-added-are-not-added
4.2    | its table is no larger than allowed                              | audit 4.2-its-table-*
4.2    | a change is signalled at the next block's beginning              | audit 4.2-a-change-is-signalled-first 4.2-size-update-at-the-end 4.2-size-update-in-the-middle
4.2    | the smallest of several changes is signalled                     | 4.2-the-smallest-of-several-changes-is-signalled
4.4    | entries are evicted; too large a one is no error                 | 4.4-* 4.1-* 4.3-*
5.1    | integers beyond limits are errors                                | 5.1-integer-too-large-* 5.1-integer-without-end 5.1-integer-of-33-bits
5.2    | padding above 7 bits is an error                                 | 5.2-huffman-padding-of-8-bits 5.2-huffman-padding-of-11-bits 5.2-huffman-nothing-but-padding
5.2    | padding other than EOS is an error                               | 5.2-huffman-padding-of-zeros 5.2-huffman-padding-with-a-zero
5.2    | EOS in a string is an error                                      | 5.2-huffman-eos*
6.1    | index 0 is an error                                              | 6.1-index-0
6.2.3  | never-indexed fields stay never indexed (7.1.3 too)              | 6.2.3-never-indexed-is-forwarded-so-*
6.3    | a table size above the limit is an error                         | 6.3-above-the-limit 6.3-far-above-the-limit
"""

ROWS = [(prefix, *[part.strip() for part in line.split("|")]) for prefix, text in (("rfc9113-", RFC_9113), ("rfc7541-", RFC_7541))
        for line in text.strip().splitlines()]


def fits(pattern):
    head, star, tail = pattern.partition("*")
    return [name for name in IDS if (name == head if not star else name.startswith(head) and name.endswith(tail))]


@pytest.mark.parametrize("prefix, section, rule, cases", [pytest.param(*row, id=f"{row[0]}{row[1]}-{row[2]}") for row in ROWS])
def test_each_rule_has_a_case(prefix, section, rule, cases):
    names = cases.split()
    assert names
    assert not [name for name in names if name != "audit" and not fits(prefix + name)], "no such case"


def test_names_are_used_once():
    assert sorted(set(IDS)) == sorted(IDS)


# ---- the Audit notices. A server that begins well, then what it must not send.

BEGUN = f.PREFACE + f.settings() + f.headers(1) + f.headers(3, f.request(method="HEAD"))
HEAD = f.headers(1, [(":status", "200")], END_HEADERS)


def field(*pair):
    return f.headers(1, [(":status", "200"), pair])


AUDITED = {
    "3.4-headers-first": (b"", HEAD, "3.4"),
    "3.4-ack-first": (b"", f.SETTINGS_ACK, "3.4"),
    "4.1-flags": (f.settings(), f.ping(flags=2), "4.1"),
    "4.1-reserved-bit": (f.settings(), f.headers(1, [(":status", "200")], reserved=True), "4.1"),
    "4.2-data-of-16385": (f.settings() + HEAD, f.data(1, b"a" * 16385), "4.2"),
    "4.3-ping-inside-a-block": (f.settings() + f.headers(1, [(":status", "200")], 0), f.ping(), "4.3"),
    "4.3-not-decodable": (f.settings(), f.headers(1, f.indexed(70)), "4.3"),
    "5.1-headers-of-an-idle-stream": (f.settings(), f.headers(5, [(":status", "200")]), "5.1"),
    "5.1-data-after-the-end": (f.settings() + f.headers(1, [(":status", "200")]), f.data(1, b"a"), "5.1"),
    "5.5-unknown-type": (f.settings(), f.frame(f.UNKNOWN), "5.5"),
    "6-ping-of-7-octets": (f.settings(), f.ping(b"1234567"), "6"),
    "6-settings-of-a-stream": (f.settings(), f.settings(stream=1), "6"),
    "6.1-padding": (f.settings() + HEAD, f.frame(f.DATA, PADDED, 1, b"\1ax"), "6.1"),
    "6.4-rst-of-an-idle-stream": (f.settings(), f.rst(5), "6.4"),
    "6.5.2-enable-push": (b"", f.settings((f.ENABLE_PUSH, 1)), "6.5.2"),
    "6.5.2-max-frame-size": (b"", f.settings((f.MAX_FRAME_SIZE, 1)), ("6", "6.5.2")),
    "6.5.3-ack-of-nothing": (f.settings() + f.SETTINGS_ACK, f.SETTINGS_ACK, "6.5.3"),
    "6.7-ack-of-nothing": (f.settings(), f.ping(flags=ACK), "6.7"),
    "6.8-last-stream-grows": (f.settings() + f.goaway(1), f.goaway(3), "6.8"),
    "6.9-increment-0": (f.settings(), f.window(0, 0), ("6", "6.9")),
    "6.9.1-window": (f.settings() + HEAD + f.data(1, b"a" * 16384, 0) * 3 + f.data(1, b"a" * 16383, 0), f.data(1, b"a"), "6.9.1"),
    "6.10-continuation-of-nothing": (f.settings(), f.continuation(1, b""), "6.10"),
    "8.1-data-before-the-head": (f.settings(), f.data(1, b"a"), "8.1"),
    "8.1-interim-that-ends": (f.settings(), f.headers(1, [(":status", "103")]), "8.1"),
    "8.1-trailers-that-do-not-end": (f.settings() + HEAD, f.headers(1, [("x-t", "v")], END_HEADERS), "8.1"),
    "8.1-trailers-with-status": (f.settings() + HEAD, f.headers(1, [(":status", "200")]), "8.1"),
    "8.1.1-too-short": (f.settings(), field("content-length", "5"), "8.1.1"),
    "8.1.1-content-of-head": (f.settings() + f.headers(3, [(":status", "200")], END_HEADERS), f.data(3, b"a"), "8.1.1"),
    "8.2.1-upper-case": (f.settings(), field("X-A", "b"), "8.2.1"),
    "8.2.1-line-feed": (f.settings(), field("x-a", "b\nc"), "8.2.1"),
    "8.2.1-space-around": (f.settings(), field("x-a", " b"), "8.2.1"),
    "8.2.2-connection": (f.settings(), field("connection", "close"), "8.2.2"),
    "8.2.2-te": (f.settings(), field("te", "trailers"), "8.2.2"),
    "8.3-status-late": (f.settings(), f.headers(1, [("x-a", "b"), (":status", "200")]), "8.3"),
    "8.3-status-twice": (f.settings(), field(":status", "200"), "8.3"),
    "8.3.2-no-status": (f.settings(), f.headers(1, [("x-a", "b")]), "8.3.2"),
    "8.3.2-path": (f.settings(), field(":path", "/"), "8.3.2"),
    "8.4-push": (f.settings(), f.push_promise(1, 2), "8.4"),
    "8.6-101": (f.settings(), f.headers(1, [(":status", "101")], END_HEADERS), "8.6"),
    "hpack-table-size": (f.settings(), f.headers(1, f.table_size(4097) + f.block([(":status", "200")])), "4.3"),
}

# The same for a client: what it must not send to a server.
CLIENT_AUDITED = {
    "5.1.1-even": (f.settings(), f.headers(2), "5.1.1"),
    "5.1.1-lower": (f.settings() + f.headers(5), f.headers(3), "5.1.1"),
    "5.1.2-limit": (f.settings() + f.SETTINGS_ACK + f.headers(1), f.headers(3), "5.1.2"),
    "6.9.1-window": (f.settings() + f.headers(1, flags=END_HEADERS) + f.data(1, b"a" * 16384, 0) * 3, f.data(1, b"a" * 16384), "6.9.1"),
    "8.2.2-upgrade": (f.settings(), f.headers(1, f.request(extra=[("upgrade", "h2c")])), "8.2.2"),
    "8.2.2-te": (f.settings(), f.headers(1, f.request(extra=[("te", "gzip")])), "8.2.2"),
    "8.3.1-no-path": (f.settings(), f.headers(1, f.request()[:3]), "8.3.1"),
    "8.3.1-userinfo": (f.settings(), f.headers(1, f.request(authority="u@test.example")), "8.3.1"),
    "8.3.1-undefined": (f.settings(), f.headers(1, f.request(x="y")), "8.3.1"),
    "8.1.1-too-long": (f.settings(), f.headers(1, f.request(extra=[("content-length", "3")])), "8.1.1"),
}


def feed(audit, data):
    while data:
        size = 9 + int.from_bytes(data[:3], "big")
        audit.feed(data[:9], data[9:size])
        data = data[size:]


@pytest.mark.parametrize("side, name", [("server", n) for n in AUDITED] + [("client", n) for n in CLIENT_AUDITED])
def test_the_audit_notices(side, name):
    before, wrong, sections = (AUDITED if side == "server" else CLIENT_AUDITED)[name]
    audit = Audit(side == "server")
    audit.heads.add(3)
    audit.sent(BEGUN if side == "server" else f.settings((f.MAX_CONCURRENT_STREAMS, 1)))
    feed(audit, before)
    with pytest.raises(Violation) as caught:
        feed(audit, wrong)
    assert caught.value.section in sections if isinstance(sections, tuple) else caught.value.section == sections


def test_the_audit_is_content():
    audit = Audit(True)
    audit.heads.add(3)
    audit.sent(BEGUN)
    feed(audit, f.settings((f.ENABLE_PUSH, 0)) + f.SETTINGS_ACK + f.headers(1, [(":status", "103")], END_HEADERS) + HEAD
         + f.data(1, b"a" * 16384, 0) + f.data(1, b"b", 0, pad=3) + f.headers(1, [("x-t", "v")])
         + f.headers(3, [(":status", "200"), ("content-length", "9")]) + f.window(0, 9) + f.goaway(3) + f.goaway(1)
         + f.rst(1, Code.NO_ERROR))
    assert audit.streams[1].ended
