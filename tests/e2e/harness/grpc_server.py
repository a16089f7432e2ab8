"""A gRPC server of Debian's python3-grpcio, without generated code: messages are bytes."""
import collections
import concurrent.futures
import threading
import time

import grpc

from .ports import free_port
from .wait import PATIENCE, until

SERVICE = "test.Echo"
BIG = 64 << 20
OPTIONS = [("grpc.max_receive_message_length", BIG), ("grpc.max_send_message_length", BIG), ("grpc.so_reuseport", 0)]

Call = collections.namedtuple("Call", "method metadata cancelled ended over")


class GrpcServer:
    """Methods of /test.Echo: see the functions. `calls` lists what came. Call's events: .over, and whether it .ended by itself or was .cancelled."""

    def __init__(self, leaf=None, port=None, workers=80):
        self.leaf, self.workers = leaf, workers
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.calls, self.lock = [], threading.Lock()
        self.server = None
        self.start()

    def start(self):
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(self.workers), options=OPTIONS)
        kinds = {"unary": grpc.unary_unary_rpc_method_handler, "server": grpc.unary_stream_rpc_method_handler,
                 "client": grpc.stream_unary_rpc_method_handler, "bidi": grpc.stream_stream_rpc_method_handler}
        methods = {"Echo": ("unary", self.echo), "Sleep": ("unary", self.sleep), "Fail": ("unary", self.fail),
                   "Metadata": ("unary", self.metadata), "Refuse": ("unary", self.refuse), "Count": ("server", self.count),
                   "Endless": ("server", self.endless), "FailLate": ("server", self.fail_late), "Sum": ("client", self.sum),
                   "Chat": ("bidi", self.chat)}
        handlers = {name: kinds[kind](self._noted(name, function)) for name, (kind, function) in methods.items()}
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        if self.leaf:
            with open(self.leaf.key, "rb") as key, open(self.leaf.cert, "rb") as cert:
                credentials = grpc.ssl_server_credentials([(key.read(), cert.read())])
            bound = self.server.add_secure_port(self.address, credentials)
        else:
            bound = self.server.add_insecure_port(self.address)
        assert bound == self.port, f"port {self.port} is taken"
        self.server.start()

    def _noted(self, name, function):
        def handler(request, context):
            call = Call(name, context.invocation_metadata(), threading.Event(), threading.Event(), threading.Event())

            def over():
                if not call.ended.is_set():
                    call.cancelled.set()
                call.over.set()
            context.add_callback(over)
            with self.lock:
                self.calls.append(call)
            return function(request, context, call)
        return handler

    def has(self, method):
        return any(c.method == method for c in self.calls)

    def call(self, method, index=-1, timeout=PATIENCE):
        """The newest call of this method, once there is one."""
        until(lambda: self.has(method), f"no call of {method}", timeout)
        return [c for c in self.calls if c.method == method][index]

    # --- the methods

    def echo(self, request, context, call):
        call.ended.set()
        return request

    def sleep(self, request, context, call):
        """Sleeps for so many seconds, or until nobody waits any more."""
        call.cancelled.wait(float(request))
        call.ended.set()
        return b"%.3f" % (context.time_remaining() or -1)

    def fail(self, request, context, call):
        call.ended.set()
        context.set_trailing_metadata((("x-why", "because"), ("x-data-bin", b"\x00\xff")))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too much: 100 % \u00fc")

    def refuse(self, request, context, call):
        """An answer that is trailers only."""
        call.ended.set()
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "no")

    def metadata(self, request, context, call):
        call.ended.set()
        context.send_initial_metadata((("x-initial", "1"),))
        context.set_trailing_metadata((("x-trailing", "2"),))
        return repr(sorted((k, v) for k, v in context.invocation_metadata())).encode()

    def count(self, request, context, call):
        for n in range(int(request)):
            yield b"%d" % n
        call.ended.set()

    def endless(self, request, context, call):
        size = int(request)
        try:
            while context.is_active():
                yield bytes(size)
                if not size:
                    time.sleep(0.01)
        finally:
            call.cancelled.set()

    def fail_late(self, request, context, call):
        yield b"one"
        yield b"two"
        call.ended.set()
        context.abort(grpc.StatusCode.DATA_LOSS, "after two")

    def sum(self, requests, context, call):
        total = sum(len(one) for one in requests)
        if context.is_active():
            call.ended.set()
        return b"%d" % total

    def chat(self, requests, context, call):
        for one in requests:
            if one == b"status":
                call.ended.set()
                context.abort(grpc.StatusCode.ABORTED, "asked for")
            yield b"re: " + one
        if context.is_active():  # or the requests have ended because the call was cancelled
            call.ended.set()

    def stop(self, grace=None):
        """grace None: everything that runs is cut."""
        self.server.stop(grace).wait(PATIENCE)


class GrpcClient:
    """A channel, with or without TLS, and calls of raw bytes."""

    def __init__(self, port, host, ca=None, options=()):
        options = [*OPTIONS, ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0), ("grpc.initial_reconnect_backoff_ms", 100),
                   ("grpc.min_reconnect_backoff_ms", 20_000), ("grpc.max_reconnect_backoff_ms", 300), *options]
        if ca:
            with open(ca, "rb") as f:
                credentials = grpc.ssl_channel_credentials(f.read())
            self.channel = grpc.secure_channel(f"127.0.0.1:{port}", credentials,
                                               [*options, ("grpc.ssl_target_name_override", host), ("grpc.default_authority", host)])
        else:
            self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", [*options, ("grpc.default_authority", host)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def unary(self, method):
        return self.channel.unary_unary(f"/{SERVICE}/{method}")

    def server_stream(self, method):
        return self.channel.unary_stream(f"/{SERVICE}/{method}")

    def client_stream(self, method):
        return self.channel.stream_unary(f"/{SERVICE}/{method}")

    def bidi(self, method):
        return self.channel.stream_stream(f"/{SERVICE}/{method}")
