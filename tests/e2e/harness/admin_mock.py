"""An admin interface that says what a test wants the dashboard to hear: docs/admin-api.md without a gateway behind it.

For what a real gateway does not do on demand: hostile names, five hundred services that change one at a time, connections that break."""
import copy
import http.server
import json
import math
import os
import re
import threading
import time
import urllib.parse

from .gateway import ROOT

FOLDER = os.path.join(ROOT, "gateway", "admin", "dashboard")
TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def policy():
    """What the program sends with its pages (gateway/admin/resources.h)."""
    with open(os.path.join(ROOT, "gateway", "admin", "resources.h")) as f:
        declared = re.search(r'kPagePolicy =((?:\s*"[^"]*")+);', f.read()).group(1)
    return "".join(re.findall(r'"([^"]*)"', declared))


def now():
    return int(time.time() * 1000)


def server(address="10.0.0.1:443", state="up", **over):
    return {"server": address, "name": address, "address": address, "state": state, "admin": "enabled", "reason": "", "since": now() - 7_200_000,
            "check": "tcp", "check_ms": 0.4, "weight": 1, "written_weight": 1, "backup": False, "load": 0, "max_connections": 0,
            "connections": 0, "totals": {"connections": 10, "failures": 0, "requests": 20, "errors": 0, "received_bytes": 1, "sent_bytes": 2}, **over}


def service(name, mode="edge", state="up", servers=None, **over):
    out = {"name": name, "mode": mode, "state": state, "file": f"conf.d/{name}.yaml", "line": 1, "listeners": ["https"],
           "hosts": [f"{name}.example.tld"], "paths": ["/"], "preset": "", "kept": False, "balance": "round-robin", "sticky": 0, "queued": 0,
           "totals": {"connections": 0, "requests": 0, "errors": 0, "retries": 0, "received_bytes": 0, "sent_bytes": 0, "status": {}},
           "rates": {"connections": 0.0, "requests": 0.0, "errors": 0.0, "received_bytes": 0.0, "sent_bytes": 0.0},
           "sessions": 0, "servers": [server()] if servers is None else servers}
    out.update(over)
    for one in out["servers"]:
        one["service"] = name
    return out


def wave(seed, size, steps=150):
    return [max(0, round(size * (1 + .6 * math.sin(i / 11 + seed) + .35 * math.sin(i / 3.1 + 2 * seed)))) for i in range(steps)]


class AdminMock:
    """`step`: seconds between status events; the gateway has two."""

    def __init__(self, services=(), token="secret", step=0.25, reading_needs_token=False, **status):
        self.services = {one["name"]: one for one in services}
        self.token, self.step, self.reading_needs_token = token, step, reading_needs_token
        self.left_out, self.problems = [], []
        self.sessions, self.certificates, self.explained, self.histories = [], [], {}, {}
        self.dry_run = {"time": now(), "result": "ok", "seconds": 0.01, "by": "command", "added": ["wiki"], "changed": ["cloud"], "removed": [],
                        "kept": [], "certificates": 0, "listeners": {"opened": [], "closed": [], "failed": []}, "faults": []}
        self.changes = []    # (method, path, body) of what was changed
        self.asked = []      # (method, path) of everything
        self.streams = 0
        self._told = threading.Condition()
        self._news = 0
        self._gone, self._reloads = [], []
        self._open = set()
        self.running = False
        self.silent = False  # streams stay open, and nothing comes
        self.alive = False   # totals grow as the rates say
        self.status = {
            "version": "0.1.0", "pid": 1234, "state": "serving", "started": now() - 273_000_000, "now": now(), "workers": 2, "config": "/etc/sallyport",
            "sessions": 0, "max_connections": 30000,
            "totals": {"connections": 0, "requests": 0, "errors": 0, "received_bytes": 0, "sent_bytes": 0, "handshakes": 0, "handshake_failures": 0, "rejected": 0},
            "rates": {"connections": 0.0, "requests": 0.0, "errors": 0.0, "received_bytes": 0.0, "sent_bytes": 0.0},
            "listeners": [{"name": "https", "binds": [{"address": ":443", "state": "open"}], "sessions": 0}],
            "reload": {"count": 0, "refused": 0, "last": {**self.dry_run, "by": "start", "added": [], "changed": []}},
            "log": {"level": "info", "dropped": 0}, "certificates": {"total": 0, "expiring": 0}, **status}
        self.port = 0
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def start(self):
        mock = self

        class Handler(_Handler):
            admin = mock
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._http.daemon_threads = True
        self.port = self._http.server_address[1]
        self.running = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self):
        """Nobody listens any more, and streams break off."""
        self.running = False
        with self._told:
            self._told.notify_all()
        self._http.shutdown()
        self._http.server_close()
        for one in list(self._open):
            one.close_connection = True
            try:
                one.connection.shutdown(2)
            except OSError:
                pass
        self._thread.join()

    def change(self, name, **over):
        """Of one service, told to who listens."""
        with self._told:
            self._news += 1
            self.services[name] = {**copy.deepcopy(self.services[name]), **over, "_news": self._news}
            self._told.notify_all()

    def remove(self, name):
        with self._told:
            self._news += 1
            del self.services[name]
            self._gone.append((self._news, name))
            self._told.notify_all()

    def reload(self, report):
        with self._told:
            self._news += 1
            self.status["reload"] = {"count": self.status["reload"]["count"] + 1, "refused": 0, "last": report}
            self._reloads.append((self._news, report))
            self._told.notify_all()

    def live(self):
        """A step of two seconds' worth of traffic, however long it takes."""
        for one in [self.status, *self.services.values()]:
            for key, value in one["rates"].items():
                one["totals"][key] += round(2 * value)

    def whole_status(self):
        states = [one["state"] for one in list(self.services.values())]
        return {**self.status, "now": now(), "services": {"total": len(states), "left_out": len(self.left_out), **{s: states.count(s) for s in ("up", "degraded", "down")}}}


def plain(one):
    return {key: value for key, value in one.items() if key != "_news"}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    admin = None

    def log_message(self, *args):
        pass

    def setup(self):
        super().setup()
        self.admin._open.add(self)

    def finish(self):
        self.admin._open.discard(self)
        super().finish()

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # the page has gone

    def give(self, status, body, kind="application/json", fields=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in [("Content-Type", kind), ("Content-Length", str(len(data))), ("X-Content-Type-Options", "nosniff"), *fields]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def file(self, path):
        name = "index.html" if path == "/" else path.removeprefix("/dashboard/")
        if "/" in name or not os.path.exists(os.path.join(FOLDER, name)):
            return self.give(404, {"error": "there is no such thing"})
        with open(os.path.join(FOLDER, name), "rb") as f:
            return self.give(200, f.read(), TYPES[name.rsplit(".", 1)[1]], [("Content-Security-Policy", policy()), ("Cache-Control", "no-cache")])

    def answer(self):
        admin = self.admin
        url = urllib.parse.urlsplit(self.path)
        asked = dict(urllib.parse.parse_qsl(url.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        admin.asked.append((self.command, self.path))
        if not url.path.startswith("/api/v1/"):
            return self.file(url.path)
        given = self.headers.get("Authorization", "")
        good = bool(admin.token) and given == f"Bearer {admin.token}"
        dry = asked.get("dry_run") == "true"
        if not good and (given or admin.reading_needs_token or (self.command != "GET" and not dry)):
            return self.give(401, {"error": "the token is wrong" if given else "this needs the token"})
        parts = url.path.removeprefix("/api/v1/").split("/")
        if self.command != "GET":
            if dry:
                return self.give(200, admin.dry_run)
            admin.changes.append((self.command, "/".join(map(urllib.parse.unquote, parts)), body))
            if parts[0] == "reload":
                admin.reload({**admin.dry_run, "time": now()})
                return self.give(200, admin.dry_run)
            if parts[0] == "servers":
                name, address = map(urllib.parse.unquote, parts[1:])
                admin.change(name, servers=[{**one, **body} if one["server"] == address else one for one in admin.services[name]["servers"]])
            if parts[0] == "sessions":
                admin.sessions = [one for one in admin.sessions if one["id"] != parts[1]]
            if parts[0] == "log-level":
                admin.status["log"] = {**admin.status["log"], **body}
            return self.give(200, {})
        if parts[0] == "events":
            return self.events()
        if parts[0] == "status":
            return self.give(200, admin.whole_status())
        if parts[0] == "services":
            return self.give(200, {"services": [plain(one) for one in admin.services.values()], "left_out": admin.left_out})
        if parts[0] == "sessions":
            found = [one for one in admin.sessions if asked.get("service", one["service"]) == one["service"]]
            return self.give(200, {"sessions": found[:int(asked.get("limit", 100))], "total": len(found)})
        if parts[0] == "certificates":
            return self.give(200, {"certificates": admin.certificates, "problems": admin.problems})
        if parts[0] == "history":
            series = admin.histories.get(asked.get("service", ""), {})
            return self.give(200, {"step_seconds": 2, "end": now(), **{
                key: series.get(key, [0] * 150) for key in ("requests", "errors", "connections", "received_bytes", "sent_bytes")}})
        if parts[0] == "explain":
            found = admin.explained.get(asked["target"])
            return self.give(200, found) if found else self.give(400, {"error": f"\"{asked['target']}\" is no URL"})
        return self.give(404, {"error": "there is no such thing"})

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = answer

    def event(self, name, content):
        self.wfile.write(f"event: {name}\ndata: {json.dumps(content)}\n\n".encode())

    def events(self):
        admin = self.admin
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        with admin._told:
            admin.streams += 1
            seen = admin._news
            every = [plain(one) for one in admin.services.values()]
        try:
            self.event("status", admin.whole_status())
            for at in range(0, max(1, len(every)), 50):
                self.event("services", {"services": every[at:at + 50], "gone": [], **({"complete": True} if at + 50 >= len(every) else {})})
            due = time.monotonic() + admin.step
            while admin.running:
                with admin._told:
                    admin._told.wait_for(lambda: not admin.running or admin._news > seen, max(0.01, due - time.monotonic()))
                    if admin.silent:
                        continue
                    fresh = [plain(one) for one in admin.services.values() if one.get("_news", 0) > seen]
                    gone = [name for at, name in admin._gone if at > seen]
                    reloads = [report for at, report in admin._reloads if at > seen]
                    seen = admin._news
                if fresh or gone:
                    self.event("services", {"services": fresh, "gone": gone})
                for report in reloads:
                    self.event("reload", report)
                if time.monotonic() >= due:
                    due = time.monotonic() + admin.step
                    if admin.alive:
                        admin.live()
                        self.event("services", {"services": [plain(one) for one in list(admin.services.values())], "gone": []})
                    self.event("status", admin.whole_status())
        finally:
            with admin._told:
                admin.streams -= 1
