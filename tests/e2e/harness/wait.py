"""Waiting for a condition, with an end. Never a sleep for a guessed time."""
import time


def until(condition, what, timeout=5.0, step=0.01):
    """Returns the first true value of condition(). Fails with `what` (a text, or a function giving one) after `timeout`."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {timeout} s: {what() if callable(what) else what}")
        time.sleep(step)
