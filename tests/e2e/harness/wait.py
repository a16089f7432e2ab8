"""Waiting for a condition, with an end. Never a sleep for a guessed time."""
import time

# How long anything may take that takes no time at all on a machine that is not busy. Only a failure waits so long.
PATIENCE = 30.0


def until(condition, what, timeout=PATIENCE, step=0.01):
    """Returns the first true value of condition(). Fails with `what` (a text, or a function giving one) after `timeout`."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"after {timeout} s: {what() if callable(what) else what}")
        time.sleep(step)
