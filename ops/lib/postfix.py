"""A private Postfix: its own configuration, queue and log below a temporary directory, on loopback ports.

It shares nothing with a Postfix that the machine may run: `ops/dev setup` installs the package without
configuration. It is the receiving server of interop tests and the yardstick of `ops/dev bench relay`.
Postfix's master must be started by root.
"""

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

import cases
import harness

DAEMONS = "/usr/lib/postfix/sbin"

MAIN = """compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
maillog_file = {directory}/mail.log
maillog_file_prefixes = {directory}
command_directory = /usr/sbin
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [127.0.0.1]:{relay_port}
smtp_host_lookup = native
alias_maps =
alias_database =
local_recipient_maps =
# Change nothing in what passes through.
local_header_rewrite_clients =
message_drop_headers =
smtp_line_length_limit = 0
smtpd_client_connection_count_limit = 0
message_size_limit = 104857600
mailbox_size_limit = 0
minimal_backoff_time = 2s
maximal_backoff_time = 5s
queue_run_delay = 2s
"""

# Service, type, private, unprivileged, chroot, wakeup, process limit, command.
MASTER = """127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def available():
    """Why Postfix cannot be used here, or an empty string."""
    if not pathlib.Path("/usr/sbin/postfix").exists():
        return "Postfix is not installed: run ops/dev setup test"
    if os.getuid() != 0:
        return "Postfix's master must be started by root"
    return ""


class Postfix:
    """with Postfix(relay_port) as postfix: postfix.port"""

    def __init__(self, relay_port, extra=""):
        reason = available()
        if reason:
            raise cases.CaseFailed(reason)
        self.port = harness.free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-postfix-", dir="/tmp"))
        os.chmod(self.directory, 0o755)  # Postfix's own user must be able to enter.
        for name in ("config", "queue", "data"):
            (self.directory / name).mkdir()
        owner = pwd.getpwnam("postfix")
        os.chown(self.directory / "data", owner.pw_uid, owner.pw_gid)
        (self.directory / "config" / "main.cf").write_text(
            MAIN.format(directory=self.directory, daemons=DAEMONS, relay_port=relay_port) + extra)
        (self.directory / "config" / "master.cf").write_text(MASTER.format(port=self.port))

    def _control(self, verb):
        return subprocess.run(["/usr/sbin/postfix", "-c", str(self.directory / "config"), verb],
                              capture_output=True, text=True, timeout=60, check=False)

    def __enter__(self):
        run = self._control("start")
        if run.returncode != 0:
            log = self.log_text()
            self._remove()
            raise cases.CaseFailed(f"Postfix does not start: {run.stdout}{run.stderr}{log[-2000:]}")
        return self

    def __exit__(self, *_):
        self._control("stop")
        self._remove()

    def _remove(self):
        if not os.environ.get("HOLDFAST_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)

    def master_pid(self):
        return int((self.directory / "queue" / "pid" / "master.pid").read_text())

    def log_text(self):
        log = self.directory / "mail.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def queue_empty(self):
        for name in ("maildrop", "incoming", "active", "deferred", "hold"):
            folder = self.directory / "queue" / name
            if folder.exists() and any(path.is_file() for path in folder.rglob("*")):
                return False
        return True
