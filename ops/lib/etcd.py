"""A private etcd: one or three members on loopback, their data below a directory of the caller.

Debian's package starts a service, so `ops/dev setup` only unpacks it.
"""

import json
import os
import pathlib
import shutil
import subprocess
import urllib.error
import urllib.request

import cases
import harness

START_SECONDS = 60.0


def program():
    """etcd's path, or None."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
    unpacked = cache / "holdfast-unpacked" / "etcd" / "usr" / "bin" / "etcd"
    return str(unpacked) if unpacked.is_file() else shutil.which("etcd")


class Etcd:
    """Members with default settings but for the addresses and a quota that a benchmark doesn't reach."""

    def __init__(self, directory, members=1):
        self._directory = pathlib.Path(directory)
        self._members = members
        self._processes = []
        self._clients = [harness.free_port() for _ in range(members)]
        self._peers = [harness.free_port() for _ in range(members)]

    def __enter__(self):
        cluster = ",".join(f"m{i}=http://127.0.0.1:{port}" for i, port in enumerate(self._peers))
        for i in range(self._members):
            client, peer = f"http://127.0.0.1:{self._clients[i]}", f"http://127.0.0.1:{self._peers[i]}"
            with open(self._directory / f"m{i}.log", "wb") as log:
                self._processes.append(subprocess.Popen(
                    [program(), "--name", f"m{i}", "--data-dir", str(self._directory / f"m{i}"),
                     "--listen-client-urls", client, "--advertise-client-urls", client,
                     "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                     "--initial-cluster", cluster, "--initial-cluster-state", "new",
                     "--quota-backend-bytes", str(8 << 30), "--logger", "zap"], stdout=log, stderr=log))
        try:
            cases.wait_until(lambda: self.leader_port() is not None, START_SECONDS, "etcd has a leader")
        except BaseException:
            self.__exit__()
            raise
        return self

    def leader_port(self):
        """The client port of the member that leads; None while there is none."""
        for port in self._clients:
            request = urllib.request.Request(f"http://127.0.0.1:{port}/v3/maintenance/status", data=b"{}")
            try:
                with urllib.request.urlopen(request, timeout=2) as answer:
                    status = json.load(answer)
            except (urllib.error.URLError, OSError, ValueError):
                continue
            if status.get("leader", "0") != "0" and status["leader"] == status["header"]["member_id"]:
                return port
        return None

    def cpu_seconds(self):
        """Processor time of all members so far."""
        total = 0
        for process in self._processes:
            stat = pathlib.Path(f"/proc/{process.pid}/stat").read_text()
            fields = stat[stat.rindex(")") + 2:].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def __exit__(self, *_):
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
