"""Counting of test cases for scripts: one `ok` or `FAIL` line a case, last line `N passed, N failed`.

The last line is what ops/lib/run_tests.py (and any CI) reads: an exit code alone cannot say how many
cases really ran.
"""

import sys
import time
import traceback


class CaseFailed(Exception):
    """A check did not hold. Its text is the whole report: say what was expected and what came."""


def expect(condition, text):
    if not condition:
        raise CaseFailed(text)


def expect_equal(got, want, what):
    if got != want:
        raise CaseFailed(f"{what}: expected {want!r}, got {got!r}")


class Cases:
    """Runs cases one after the other; a case that raises has failed, and the next one still runs."""

    def __init__(self, only=None):
        self.passed = 0
        self.failed = 0
        self._only = only

    def run(self, name, function, *arguments):
        """Runs one case. True when it passed; None when `only` leaves it out."""
        if self._only and self._only not in name:
            return None
        start = time.monotonic()
        try:
            detail = function(*arguments)
        except CaseFailed as error:
            return self.fail(name, str(error))
        except Exception:  # A broken case is a failed case, with its trace.
            return self.fail(name, traceback.format_exc())
        self.passed += 1
        text = f" ({detail})" if isinstance(detail, str) else ""
        print(f"ok    {name}{text}  {time.monotonic() - start:.1f} s", flush=True)
        return True

    def fail(self, name, why):
        self.failed += 1
        print(f"FAIL  {name}\n      " + why.rstrip().replace("\n", "\n      "), flush=True)
        return False

    def finish(self):
        """Prints the count; returns the exit code. No case at all is a failure too."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def wait_until(condition, seconds, what, poll=0.05):
    """Waits until condition() is true and returns its value; CaseFailed after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise CaseFailed(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(poll)


if __name__ == "__main__":
    sys.exit("this is a library; see ops/dev help")
