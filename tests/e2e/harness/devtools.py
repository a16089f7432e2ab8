"""A page in Debian's chromium, driven over its DevTools pipe: look at it, type, take pictures, and know every complaint."""
import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time

from .browser import OPTIONS, PROGRAMS
from .wait import PATIENCE, until

KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowRight": 39, "ArrowLeft": 37, "Home": 36, "End": 35, " ": 32}


class Page:
    """One tab. What goes wrong in it stands in `problems`, what it asked for in `requests`; close() ends the browser."""

    def __init__(self, url=None, width=1280, height=900, dark=False, mobile=False, before=None):
        program = next((path for path in map(shutil.which, PROGRAMS) if path), None)
        assert program, "no chromium: scripts/dependencies test"
        self.folder = tempfile.mkdtemp(prefix="sp-page-")
        self.problems, self.requests = [], []
        self._answers, self._numbers, self._told = {}, itertools.count(1), threading.Condition()
        self._log = open(os.path.join(self.folder, "log"), "w+")
        theirs, self._out = os.pipe()
        self._in, ours = os.pipe()
        # The browser reads from descriptor 3 and writes to 4.
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs} 4>&{ours}', "chromium", program, *OPTIONS, "--remote-debugging-pipe",
             f"--user-data-dir={self.folder}/profile", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=(theirs, ours),
            env={**os.environ, "HOME": self.folder}, start_new_session=True)
        os.close(theirs)
        os.close(ours)
        self._session = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        target = until(lambda: [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"], "no tab", 60)[0]
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits", "DOM"):
            self.call(f"{domain}.enable")
        if before:
            self.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        self.look(width, height, dark, mobile)
        if url:
            self.go(url)

    # --- the pipe

    def _read(self):
        rest = b""
        while True:
            try:
                data = os.read(self._in, 1 << 16)
            except OSError:
                data = b""
            if not data:
                with self._told:
                    self._answers = None
                    self._told.notify_all()
                return
            *messages, rest = (rest + data).split(b"\0")
            for message in messages:
                self._take(json.loads(message))

    def _take(self, message):
        with self._told:
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._event(message["method"], message.get("params", {}))
            self._told.notify_all()

    def _event(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(f"exception: {details.get('exception', {}).get('description', details['text'])}")
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(f"console: {[a.get('value', a.get('description')) for a in params['args']]}")
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"log: {params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Audits.issueAdded" and params["issue"]["code"] != "PerformanceIssue":
            self.problems.append(f"issue: {json.dumps(params['issue'])}")
        elif method == "Network.requestWillBeSent":
            self.requests.append((params["request"]["method"], params["request"]["url"]))

    def call(self, method, timeout=60.0, **params):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        with self._told:
            done = self._told.wait_for(lambda: self._answers is None or number in self._answers, timeout)
            assert done and self._answers is not None, f"the browser does not answer {method}: {self.text()}"
            answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def text(self):
        self._log.flush()
        with open(self._log.name) as f:
            return f.read()[-2000:]

    # --- what a person does

    def look(self, width, height, dark=False, mobile=False, reduced_motion=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if mobile else 1, mobile=mobile)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if reduced_motion else "no-preference"}])

    def go(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def eval(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, (expression, result["exceptionDetails"])
        return result["result"].get("value")

    def wait(self, expression, timeout=PATIENCE, what=None):
        """Until it is true in the page."""
        until(lambda: self.eval(f"Boolean({expression})"), lambda: f"not so: {what or expression}; problems: {self.problems}; page: "
                     + str(self.eval("document.body.innerText"))[:3000], timeout, step=0.05)

    def texts(self, selector):
        return self.eval(f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.innerText.trim())")

    def shown(self, selector):
        return self.eval(f"[...document.querySelectorAll({json.dumps(selector)})].filter(e => e.checkVisibility()).length")

    def click(self, selector):
        """With the mouse, once it stands still and nothing covers it."""
        where = (f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e?.checkVisibility()) return null; e.scrollIntoView({{block: 'nearest'}});"
                 " const r = e.getBoundingClientRect(), x = r.left + r.width / 2, y = r.top + r.height / 2;"
                 " return e.contains(document.elementFromPoint(x, y)) ? [x, y] : null; })()")

        def still():
            first = self.eval(where)
            time.sleep(0.1)
            return first if first and self.eval(where) == first else None
        box = until(still, f"{selector} cannot be clicked")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def press(self, key, shift=False):
        code = {"windowsVirtualKeyCode": KEYS[key], "key": key, "code": key, "modifiers": 8 if shift else 0}
        text = {"Enter": "\r", " ": " "}.get(key)
        self.call("Input.dispatchKeyEvent", type="keyDown", **code, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def type(self, selector, text):
        self.eval(f"document.querySelector({json.dumps(selector)}).focus()")
        self.eval("document.activeElement.select?.()")
        self.call("Input.insertText", text=text)

    def hide(self, hidden):
        """As when another tab is in front."""
        self.eval(f"""Object.defineProperty(document, 'hidden', {{configurable: true, get: () => {json.dumps(hidden)}}});
                      document.dispatchEvent(new Event('visibilitychange'))""")

    def picture(self, path, whole=False):
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"])
        with open(path, "wb") as f:
            f.write(data)
        return data

    def close(self):
        try:
            self.process.terminate()
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        os.close(self._out)
        self._reader.join(PATIENCE)
        os.close(self._in)
        self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def png_size(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def steady(page, expression, seconds=1.0):
    """Its value once it has been the same for a while."""
    value, since = page.eval(expression), time.monotonic()
    end = time.monotonic() + PATIENCE
    while time.monotonic() - since < seconds and time.monotonic() < end:
        time.sleep(0.1)
        now = page.eval(expression)
        if now != value:
            value, since = now, time.monotonic()
    return value
