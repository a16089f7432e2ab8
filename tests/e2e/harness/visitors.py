"""Visitors who come without a pause: each makes a new connection, asks for one thing and leaves. What fails is kept."""
import threading
import time


class Visitors:
    def __init__(self, *visits, threads=6):
        """visits: functions that do one visit and raise when it fails; the threads go through them in turn."""
        self.served, self.failures, self.longest = 0, [], 0.0
        self._visits, self._stop, self._lock = visits, threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(threads)]

    def _run(self, turn):
        while not self._stop.is_set():
            visit = self._visits[turn % len(self._visits)]
            turn += 1
            start = time.monotonic()
            try:
                visit()
            except Exception as error:
                with self._lock:
                    self.failures.append(f"{visit.__name__}: {error!r}")
                continue
            with self._lock:
                self.served += 1
                self.longest = max(self.longest, time.monotonic() - start)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
