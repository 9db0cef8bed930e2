"""Runs a real holdfastd from outside: configuration, start, readiness, signals, questions.

Used by the demo and by the tests below tests/cluster and tests/interop. Everything lives in a temporary
directory with a short path (a Unix socket's name has at most 107 characters), every port comes from the
kernel, and nothing here listens or connects beyond loopback.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

import cases

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent
READY_SECONDS = 30.0
STOP_SECONDS = 30.0


def find_binary(path):
    """A built program, from HOLDFAST_BIN or build/bin."""
    places = [ROOT / "build" / "bin" / path]
    if os.environ.get("HOLDFAST_BIN"):
        places.insert(0, pathlib.Path(os.environ["HOLDFAST_BIN"]) / path)
    for place in places:
        if place.is_file() and os.access(place, os.X_OK):
            return str(place)
    raise FileNotFoundError(f"{path} is not built: run ops/dev build")


_held_ports = []


def free_port():
    """A loopback port for a server, also for one that restarts, so 0 will not do.

    It stays bound until this process ends, without listening: else the kernel may give it to somebody's outgoing
    connection before the server comes. Who sets SO_REUSEADDR, as servers do, can listen on it all the same."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _held_ports.append(holder)
    return holder.getsockname()[1]


def text_string(text):
    """A string literal of protobuf's text format."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@dataclasses.dataclass
class NodeOptions:
    """What differs from one test to another; the rest is fast for tests and safe for small machines."""

    routes: dict = dataclasses.field(default_factory=dict)  # destination -> next hop.
    retry_waits: tuple = ("1s", "2s")
    expiry: str = "10m"
    in_doubt_wait: str = "1s"
    in_doubt_then: str = "IN_DOUBT_RETRY"
    drain_deadline: str = "20s"
    disk_reserve_bytes: int = 16 << 20
    connections_per_destination_max: int = 20
    timers: dict = dataclasses.field(default_factory=dict)  # More fields of `timing`: name -> duration.
    # The machine that runs tests is shared: its load is not to move groups.
    # Groups go home after seconds instead of a minute: many cases wait for that.
    overload: str = ("overload { event_loop_lag_max: \"0s\" sync_latency_max: \"0s\" cpu_wait_percent_max: 0 "
                     "move_interval: \"12s\" }\n")
    node_extra: str = ""  # More lines of the node file.
    policy_extra: str = ""  # More lines of the policy.
    policy_file: bool = True  # Whether the node file names the policy that is written beside it.
    listener_extra: str = ""  # More fields of the listener.
    address: str = "127.0.0.1"  # Where the node listens.
    enter: tuple = ()  # What the node's command line begins with: it must end in an exec.
    environment: dict = dataclasses.field(default_factory=dict)  # More of it.


def node_text(directory, smtp_port, http_port, options):
    timers = " ".join(f"{name}: {text_string(value)}" for name, value in options.timers.items())
    return "\n".join([
        f"data_dir: {text_string(str(directory / 'data'))}",
        f"listeners {{ address: \"{options.address}:{smtp_port}\" {options.listener_extra} }}",
        f"http_address: \"{options.address}:{http_port}\"",
        f"policy_file: {text_string(str(directory / 'policy.textproto'))}" if options.policy_file else "",
        "sessions { io_threads: 2 }",
        f"storage {{ disk_reserve_bytes: {options.disk_reserve_bytes} body_memtable_bytes: 67108864 }}",
        f"timing {{ drain_deadline: {text_string(options.drain_deadline)} {timers} }}",
        options.overload + options.node_extra, ""])


def policy_text(options):
    lines = [f"routes {{ destination: {text_string(name)} next_hop: {text_string(hop)} }}"
             for name, hop in options.routes.items()]
    waits = " ".join(f"waits: {text_string(wait)}" for wait in options.retry_waits)
    lines.append(f"retry {{ {waits} jitter_percent: 0 expiry: {text_string(options.expiry)} }}")
    lines.append(f"in_doubt {{ wait: {text_string(options.in_doubt_wait)} then: {options.in_doubt_then} }}")
    lines.append(f"limits {{ connections_per_destination_max: {options.connections_per_destination_max} }}")
    return "\n".join([*lines, options.policy_extra, ""])


class Node:
    """One holdfastd and its directory.

    with Node(NodeOptions(routes={"*": "[127.0.0.1]:2526"})) as node:
        node.start()
        ... node.smtp_port ...
        node.kill(); node.start()
    """

    def __init__(self, options):
        self.options = options
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-", dir="/tmp"))
        self.smtp_port = free_port()
        self.http_port = free_port()
        self.process = None
        self.starts = 0
        self.program = "node/holdfastd"  # Another build of it for the next spawn().
        self.config = self.directory / "node.textproto"
        self.log = self.directory / "stderr.log"
        self.config.write_text(node_text(self.directory, self.smtp_port, self.http_port, options))
        (self.directory / "policy.textproto").write_text(policy_text(options))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if kind is not None:
            print(f"--- last lines of {self.log}:\n{self.log_tail()}", flush=True)
        if not os.environ.get("HOLDFAST_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def data(self):
        return self.directory / "data"

    @property
    def socket(self):
        return self.data / "admin.sock"

    def spawn(self, *arguments):
        """Starts the process and does not wait; its stderr is appended to self.log."""
        self.starts += 1
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.options.enter, find_binary(self.program), "--config", str(self.config), *arguments],
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.options.environment})

    def start(self):
        """Starts and waits until mail is accepted. Returns the seconds that took."""
        begin = time.monotonic()
        self.spawn()
        cases.wait_until(self.ready, READY_SECONDS, lambda: f"ready; last log lines:\n{self.log_tail()}", poll=0.02)
        return time.monotonic() - begin

    def ready(self):
        if self.process.poll() is not None:
            raise cases.CaseFailed(f"holdfastd ended with {self.process.returncode}:\n{self.log_tail()}")
        # The admin service is the last to start.
        return self.http("/readyz")[0] == 200 and self.socket.exists()

    def ready_or_restarted(self):
        """After a failed case: makes the node usable for the next one, if that can be."""
        try:
            if self.process.poll() is not None:
                self.start()
            return self.ready()
        except cases.CaseFailed:
            return False

    def kill(self):
        """kill -9: nothing is written, nothing is said."""
        self.process.kill()
        self.process.wait()

    def terminate(self, seconds=STOP_SECONDS):
        """A graceful stop; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def wait(self, seconds):
        return self.process.wait(seconds)

    def http(self, path):
        """(status, text); (0, reason) when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.options.address}:{self.http_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError as error:
            return 0, str(error)

    def status(self):
        """admin.StatusResponse as a dict, by the HTTP door: cheap enough to be asked every second."""
        code, text = self.http("/status.json")
        return json.loads(text) if code == 200 else None

    def queue(self):
        """Counts of what is queued, as numbers (JSON has uint64 as strings); None when unreachable."""
        status = self.status()
        if status is None:
            return None
        counts = status.get("queue", {})
        return {name: int(counts.get(name, 0)) for name in
                ("messages", "recipients", "held_messages", "in_doubt_recipients", "destinations")}

    def queue_empty(self):
        counts = self.queue()
        return counts is not None and counts["messages"] == 0

    def cli(self, *arguments, check=True, input_text=None, timeout=60):
        """Runs `holdfast ARGUMENTS` against this node; returns the completed process."""
        run = subprocess.run([find_binary("ops/cli/holdfast"), "--socket", str(self.socket), *arguments],
                             capture_output=True, text=True, input=input_text, timeout=timeout, check=False)
        if check and run.returncode != 0:
            raise cases.CaseFailed(f"holdfast {' '.join(arguments)} ended with {run.returncode}: "
                                   f"{run.stdout}{run.stderr}")
        return run

    def cli_json(self, *arguments):
        return json.loads(self.cli("--output", "json", *arguments).stdout)

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines=30):
        return "\n".join(self.log_text().splitlines()[-lines:])


@contextlib.contextmanager
def node_with_sink(sink_options=None, **node_options):
    """A sink and a started node that sends everything to it."""
    import sink as sink_module  # aiosmtpd is needed only where there is a sink.
    with sink_module.Sink(sink_options or sink_module.SinkOptions()) as sink:
        options = NodeOptions(**{"routes": {"*": f"[127.0.0.1]:{sink.port}"}, **node_options})
        with Node(options) as node:
            node.start()
            yield node, sink
