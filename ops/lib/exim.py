"""A private Exim: its own configuration, spool, logs and mailbox below a temporary directory, on a loopback port.

Debian's package conflicts with Postfix, so `ops/dev setup` only unpacks it. Its program wants the user
Debian-exim at start; it gets one in a mount namespace of its own, where copies of /etc/passwd and /etc/group
lie over the machine's, which stay as they are. That needs root.
"""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

import cases
import harness

USER = "Debian-exim"
STOP_SECONDS = 10.0

CONFIGURATION = """exim_path = {directory}/exim4
spool_directory = {directory}/spool
log_file_path = {directory}/log/%slog
pid_file_path = {directory}/exim.pid
primary_hostname = exim.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
domainlist local_domains = one.test
# All in one unprivileged user: the mailbox is his.
deliver_drop_privilege = true
acl_smtp_rcpt = recipient
acl_smtp_data = accept
host_lookup =
rfc1413_hosts =
{tls}
# Every message is delivered at once, however many a connection brings.
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
message_size_limit = 100M
# Change nothing in what passes through.
return_path_remove = false
envelope_to_remove = false
delivery_date_remove = false

begin acl
recipient:
  require domains = +local_domains
          verify = recipient
  accept

begin routers
mailbox:
  driver = accept
  domains = +local_domains
  local_parts = ^exim : ^user
  transport = maildir

begin transports
maildir:
  driver = appendfile
  maildir_format = true
  directory = {directory}/mail
  use_crlf = true
  mode = 0644
"""

# The program's pid is the one that was started: unshare and sh replace themselves.
START = 'mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && ' \
        'exec "$1/exim4" -C "$1/exim.conf" -bdf'


def places():
    """Where `ops/dev setup` may have unpacked it. Bazel's tests have no HOME: the user's entry says it then."""
    homes = [os.environ.get("HOME"), pwd.getpwuid(os.getuid()).pw_dir]
    caches = [os.environ.get("XDG_CACHE_HOME"), *(f"{home}/.cache" for home in homes if home)]
    return [pathlib.Path(cache) / "holdfast-unpacked/exim4/usr/sbin/exim4" for cache in dict.fromkeys(caches) if cache]


def find_program():
    return next((place for place in places() if place.is_file()), None)


def available():
    """Why Exim cannot be used here, or an empty string."""
    if os.getuid() != 0:
        return "Exim's private user needs a mount namespace, which needs root"
    if find_program() is None:
        return f"Exim is not unpacked: run ops/dev setup test. Not there: {', '.join(map(str, places()))}"
    run = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else f"no mount namespace for Exim's private user: {run.stderr.strip()}"


def unused_id():
    """An id of the system range that neither a user nor a group has here."""
    used = set()
    for name in ("/etc/passwd", "/etc/group"):
        used |= {line.split(":")[2] for line in pathlib.Path(name).read_text().splitlines() if line.count(":") >= 3}
    return next(number for number in range(999, 100, -1) if str(number) not in used)


class Exim:
    """with Exim(certificate, key) as exim: exim.port, exim.messages()"""

    def __init__(self, certificate=None, key=None):
        reason = available()
        if reason:
            raise cases.CaseFailed(reason)
        self.port = harness.free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-exim-", dir="/tmp"))
        self._process = None
        os.chmod(self.directory, 0o755)  # Exim's own user must be able to enter.
        number = unused_id()
        for name, entry in (("passwd", f"{USER}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin"),
                            ("group", f"{USER}:x:{number}:")):
            text = pathlib.Path("/etc", name).read_text().splitlines()
            kept = [line for line in text if not line.startswith(f"{USER}:")]
            (self.directory / name).write_text("\n".join([*kept, entry, ""]))
        # A copy: the cache lies in a home directory that Exim's user may not enter.
        shutil.copy(find_program(), self.directory / "exim4")
        tls = "tls_advertise_hosts ="
        if certificate:
            for source, name in ((certificate, "cert.pem"), (key, "key.pem")):
                shutil.copy(source, self.directory / name)
                os.chown(self.directory / name, number, number)
            tls = (f"tls_certificate = {self.directory}/cert.pem\ntls_privatekey = {self.directory}/key.pem\n"
                   "tls_advertise_hosts = *")
        for name in ("spool", "log", "mail"):
            (self.directory / name).mkdir()
            os.chown(self.directory / name, number, number)
        (self.directory / "exim.conf").write_text(
            CONFIGURATION.format(directory=self.directory, port=self.port, tls=tls))

    def __enter__(self):
        with open(self.directory / "stderr.log", "wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "-m", "--propagation", "private", "/bin/sh", "-c", START, "sh", str(self.directory)],
                cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            cases.wait_until(self._answers, harness.READY_SECONDS, lambda: f"Exim answers: {self.log_text()}")
        except cases.CaseFailed:
            self.__exit__()
            raise
        return self

    def _answers(self):
        if self._process.poll() is not None:
            raise cases.CaseFailed(f"Exim ended with {self._process.returncode}: {self.log_text()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return connection.recv(100).startswith(b"220")
        except OSError:
            return False

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # Connections that are still open; the group is its own.
        except ProcessLookupError:
            pass
        if not os.environ.get("HOLDFAST_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)

    def messages(self, but=()):
        """The content of every delivered message, as Exim wrote it, by the file's name; without the names in `but`."""
        return {path.name: path.read_bytes() for path in (self.directory / "mail" / "new").glob("*")
                if path.name not in but}

    def log_text(self):
        logs = [self.directory / "stderr.log", *sorted((self.directory / "log").glob("*log"))]
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in logs if path.exists())
