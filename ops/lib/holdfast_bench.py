"""Runs holdfast-bench: the load, the sink and the account of both (docs/guides/load-testing.md).

with Sink("--reject-percent", "5") as sink:
    report = load([node.smtp_port], sink.directory / "load.txt", "--messages", "1000")
    ... wait until the relay's queue is empty ...
    account([sink.directory / "load.txt"], [sink.record], clean=True)
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import cases
import harness

START_SECONDS = 20.0
STOP_SECONDS = 20.0


def program():
    return harness.find_binary("ops/bench/holdfast-bench")


def run(*arguments, seconds=600):
    """Runs it to its end; the completed process, whatever its exit code."""
    return subprocess.run([program(), *arguments], capture_output=True, text=True, timeout=seconds, check=False)


def _load_arguments(ports, record, arguments):
    targets = [word for port in ports for word in ("--to", f"127.0.0.1:{port}")]
    recorded = ["--record", str(record)] if record else []
    return ["load", *targets, *recorded, "--quiet", "--output", "json", *arguments]


def load(ports, record, *arguments, seconds=600):
    """Runs a load to its end; its report as a dict. CaseFailed when nothing was accepted."""
    done = run(*_load_arguments(ports, record, arguments), seconds=seconds)
    if done.returncode != 0:
        raise cases.CaseFailed(f"holdfast-bench load ended with {done.returncode}: {done.stderr}{done.stdout}")
    return json.loads(done.stdout)


class LoadInBackground:
    """A load that goes on while a test does something to the relay."""

    def __init__(self, ports, record, *arguments):
        self._process = subprocess.Popen([program(), *_load_arguments(ports, record, arguments)],
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()

    def poll(self):
        return self._process.poll()

    def send_signal(self, number):
        self._process.send_signal(number)

    def wait(self, seconds):
        """Its report, once it has ended."""
        try:
            out, err = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise cases.CaseFailed(f"the load did not end within {seconds} s") from error
        if self._process.returncode != 0:
            raise cases.CaseFailed(f"holdfast-bench load ended with {self._process.returncode}: {err}{out}")
        return json.loads(out)


class Sink:
    """A sink on a port of the kernel's choice: sink.port, sink.record, sink.directory (for others' files too)."""

    def __init__(self, *arguments, directory=None):
        self._own_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="holdfast-sink-", dir="/tmp"))
        self.record = self.directory / "sink.txt"
        port_file = self.directory / "sink.port"
        self._process = subprocess.Popen(
            [program(), "sink", "--record", str(self.record), "--port-file", str(port_file), "--quiet", "--output",
             "json", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            cases.wait_until(lambda: port_file.exists() or self._process.poll() is not None, START_SECONDS,
                             "the sink listens", poll=0.01)
            if not port_file.exists():
                raise cases.CaseFailed(f"the sink ended: {self._process.stderr.read()}")
        except cases.CaseFailed:
            self.close()
            raise
        self.port = int(port_file.read_text())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def arrived(self):
        """Lines of the record: copies and recipients of notices, so far."""
        with open(self.record, "rb") as file:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b"")) - 1

    def stop(self):
        """A graceful stop; its counts as a dict. The record stays until close()."""
        self._process.terminate()
        out, err = self._process.communicate(timeout=STOP_SECONDS)
        if self._process.returncode != 0:
            raise cases.CaseFailed(f"the sink ended with {self._process.returncode}: {err}{out}")
        return json.loads(out.splitlines()[-1])

    def close(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()
        if self._own_directory and not os.environ.get("HOLDFAST_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)


def account(loads, sinks, clean=False):
    """The account as a dict. `clean`: CaseFailed with its text unless nothing is lost or damaged."""
    files = ["--load", *map(str, loads), "--sink", *map(str, sinks)]
    done = run("account", *files, "--output", "json")
    try:
        result = json.loads(done.stdout)
    except ValueError as error:
        raise cases.CaseFailed(f"holdfast-bench account ended with {done.returncode}: {done.stderr}") from error
    if clean and not result["clean"]:
        raise cases.CaseFailed(f"the account is not clean:\n{run('account', *files).stdout}")
    return result
