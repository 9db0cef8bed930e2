"""`ops/dev demo` in a short form, as a test: what the README promises must work."""

import pathlib
import subprocess
import sys

LIBRARY = pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"
sys.path.insert(0, str(LIBRARY))

import cases  # noqa: E402


def demo():
    run = subprocess.run([sys.executable, str(LIBRARY / "demo.py"), "--messages", "80", "--deadline", "90"],
                         capture_output=True, text=True, timeout=200, check=False)
    cases.expect_equal(run.returncode, 0, f"exit code; it said:\n{run.stdout[-3000:]}{run.stderr[-2000:]}")
    last = run.stdout.rstrip().splitlines()[-1]
    cases.expect(last.startswith("accepted 80, ") and last.endswith("lost 0"), f"last line: {last}")
    return last


def main():
    counter = cases.Cases()
    counter.run("demo", demo)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
