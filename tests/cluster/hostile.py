"""Clients, resolvers, disks and stores that do harm: what one real holdfastd does about each."""

import contextlib
import os
import pathlib
import random
import select
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))

import account  # noqa: E402
import cases  # noqa: E402
import dns_responder  # noqa: E402
import harness  # noqa: E402
import lifecycle  # noqa: E402
import sink as sink_module  # noqa: E402
import smtp_client  # noqa: E402
import store_stamp  # noqa: E402
import talk  # noqa: E402
from cases import expect, expect_equal, wait_until  # noqa: E402

MEBIBYTE = 1 << 20
GARBAGE_SEED = 20260101


def metric(node, name):
    """A counter or gauge; those with several labels are added up."""
    lines = node.http("/metrics")[1].splitlines()
    values = [float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name]
    expect(values, f"no metric {name}")
    return sum(values)


def sessions_end(node):
    wait_until(lambda: metric(node, "holdfast_smtp_sessions") == 0, 10,
               lambda: f"all sessions end: {metric(node, 'holdfast_smtp_sessions')} are left")


def resident_bytes(node):
    text = pathlib.Path(f"/proc/{node.process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) << 10


class MemoryWatch:
    """with MemoryWatch(node) as watch: ...; watch.growth is the largest growth of VmRSS meanwhile."""

    def __init__(self, node):
        self._node = node
        self._begin = resident_bytes(node)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.growth = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while True:
            ended = self._stop.wait(0.02)
            with contextlib.suppress(OSError, IndexError):  # The process ended: others will notice.
                self.growth = max(self.growth, resident_bytes(self._node) - self._begin)
            if ended:
                return

    def expect_below(self, bound):
        expect(self.growth < bound, f"VmRSS grew by {self.growth >> 20} MiB, the bound is {bound >> 20} MiB")
        return f"VmRSS grew by {self.growth >> 20} MiB"


def pour(session, total, served):
    """Writes `total` bytes without a line end, and calls served() half way. False: the server has closed."""
    block = b"x" * MEBIBYTE
    try:
        for number in range(total // len(block)):
            session.write(block)
            if number == total // len(block) // 2:
                served()
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def endless_command_line():
    with harness.node_with_sink() as (node, sink):
        lifecycle.send(node, "user@one.test", "before")
        with MemoryWatch(node) as watch, talk.Talk(node.smtp_port) as session:
            pour(session, 64 * MEBIBYTE, lambda: lifecycle.send(node, "user@one.test", "meanwhile"))
            session.write(b"\r\n")
            reply = session.reply()
            expect(reply.startswith(("500 5.5.2", "421")), f"reply to the endless line: {reply!r}")
            if reply.startswith("500"):
                expect(session.say("NOOP").startswith("250"), "the session goes on behind a 500")
        wait_until(lambda: lifecycle.copies_of(sink, "meanwhile"), 20, "the other client's message")
        return watch.expect_below(100 * MEBIBYTE)


def endless_content_line():
    with harness.node_with_sink() as (node, sink):
        lifecycle.send(node, "user@one.test", "before")
        with MemoryWatch(node) as watch, talk.Talk(node.smtp_port) as session:
            expect(session.begin("a@back.test", "user@one.test").startswith("354"), "no 354")
            pour(session, 200 * MEBIBYTE, lambda: lifecycle.send(node, "user@one.test", "meanwhile"))
            session.write(b"\r\n.\r\n")
            reply = session.reply()
            expect(reply[:3] in ("500", "552", "421"), f"reply to the endless content: {reply!r}")
        wait_until(lambda: lifecycle.copies_of(sink, "meanwhile"), 20, "the other client's message")
        wait_until(node.queue_empty, 20, lambda: f"queue empty: {node.queue()}")
        expect_equal(len(sink.records()), 2, "messages at the sink")
        return watch.expect_below(100 * MEBIBYTE) + f", {reply[:9]}"


def ten_thousand_recipients():
    with harness.node_with_sink() as (node, sink):
        with talk.Talk(node.smtp_port) as session:
            session.say("EHLO client.test")
            expect(session.say("MAIL FROM:<a@back.test>").startswith("250"), "MAIL")
            lines = b"".join(b"RCPT TO:<user%d@one.test>\r\n" % number for number in range(10_000))
            writer = threading.Thread(target=session.write, args=(lines,))
            writer.start()  # All at once, and whether or not the replies are being read.
            replies = [session.reply() for _ in range(10_000)]
            writer.join()
            wrong = [reply for reply in replies[:1000] if not reply.startswith("250 ")]
            wrong += [reply for reply in replies[1000:] if not reply.startswith("452 4.5.3")]
            expect_equal(wrong, [], "wrong replies")
            expect(session.say("DATA").startswith("354"), "no 354")
            content = smtp_client.make_message("many", "a@back.test", "user0@one.test", 100)
            session.write(smtp_client.stuff(content))
            expect(session.say(".").startswith("250"), "the message is taken")
        wait_until(node.queue_empty, 30, lambda: f"queue empty: {node.queue()}")
        arrived = sorted(copy.recipient for copy in lifecycle.copies_of(sink, "many"))
        expect_equal(arrived, sorted(f"user{number}@one.test" for number in range(1000)), "recipients")


def reset(session_socket):
    """Closes with RST: what the server has not read is gone, and its writes fail."""
    session_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    session_socket.close()


def half_a_message(port, ending):
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    reader = client.makefile("rb")
    for line in (b"", b"HELO client.test\r\n", b"MAIL FROM:<a@back.test>\r\n", b"RCPT TO:<u@one.test>\r\n", b"DATA\r\n"):
        client.sendall(line)
        reply = reader.readline()
        expect(reply[:1] in b"23", f"reply to {line!r}: {reply!r}")
    reader.close()
    client.sendall(b"Subject: half\r\n\r\n" + b"half a message\r\n" * 20_000 + b".\r")
    ending(client)


def garbage():
    luck = random.Random(GARBAGE_SEED)
    halves = (b"MAIL FROM:<a@back", b"EHLO x\r\nMAIL FROM:<a@back.test>\r\nRCPT TO:", b"\x16\x03\x01\x02\x00\x01",
              b"DATA\r\n.\r\n", b"BDAT 99999999999999999999\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
              b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<u@one.test>\r\nBDAT 100000\r\nonly a few")
    with harness.node_with_sink() as (node, sink):
        for number in range(20):
            client = socket.create_connection(("127.0.0.1", node.smtp_port), timeout=20)
            # The server may close in the middle of it, with every right.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(luck.randbytes(luck.randrange(1, 200_000)))
            (reset if number % 2 else socket.socket.close)(client)
        for half in halves:
            for ending in (reset, socket.socket.close):
                client = socket.create_connection(("127.0.0.1", node.smtp_port), timeout=20)
                client.sendall(half)
                ending(client)
        for ending in (reset, socket.socket.close) * 5:
            half_a_message(node.smtp_port, ending)
        sessions_end(node)
        expect_equal(node.queue()["messages"], 0, "messages queued")
        expect_equal(metric(node, "holdfast_messages_accepted_total"), 0, "messages accepted")
        lifecycle.send(node, "user@one.test", "after")
        wait_until(lambda: lifecycle.copies_of(sink, "after"), 20, "mail flows afterwards")
        expect_equal((len(sink.records()), node.starts, node.process.poll()), (1, 1, None), "records, starts, exit code")


def replace_in_config(node, old, new):
    text = node.config.read_text()
    expect(old in text, f"{old!r} is in the node file")
    node.config.write_text(text.replace(old, new))


def silent_peers():
    with harness.Node(harness.NodeOptions(routes={"*": "[127.0.0.1]:9"})) as node:
        replace_in_config(node, "io_threads: 2", 'io_threads: 2 command_timeout: "3s" sessions_per_client_max: 60')
        node.start()
        peers = [talk.Talk(node.smtp_port) for _ in range(60)]
        expect_equal([peer.greeting for peer in peers if not peer.greeting.startswith("220")], [], "refused greetings")
        with talk.Talk(node.smtp_port) as one_more:
            expect(one_more.greeting.startswith("421"), f"greeting above the limit: {one_more.greeting!r}")
            expect_equal(one_more.reply(), "", "what follows the 421")
        for peer in peers:
            reply = peer.reply()
            expect(reply.startswith("421 4.4.2"), f"reply to silence: {reply!r}")
            expect_equal(peer.reply(), "", "what follows the 421")
            peer.close()
        sessions_end(node)
        with talk.Talk(node.smtp_port) as session:
            expect(session.say("NOOP").startswith("250"), "there is room again")


def write_until_stalled(client, octets):
    """Writes until everything is written or the server has stopped reading; the number of bytes written."""
    client.setblocking(False)
    done = 0
    while done < len(octets):
        if not select.select([], [client], [], 0.5)[1]:
            break
        done += client.send(octets[done:done + 65536])
    client.settimeout(20)
    return done


def client_that_never_reads():
    line = b"NOOP\r\n"
    with harness.node_with_sink() as (node, sink):
        lifecycle.send(node, "user@one.test", "before")
        with MemoryWatch(node) as watch:
            client = socket.socket()
            # Small, so that it is the server and not the kernel that holds what is not read.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", node.smtp_port))
            octets = line * 200_000
            written = write_until_stalled(client, octets)
            lifecycle.send(node, "user@one.test", "meanwhile")
            wait_until(lambda: lifecycle.copies_of(sink, "meanwhile"), 20, "the other client's message")
        text = watch.expect_below(20 * MEBIBYTE)
        # It repents: every command has its reply, none is lost.
        rest = threading.Thread(target=client.sendall, args=(octets[written:] + b"QUIT\r\n",))
        rest.start()
        with client.makefile("rb") as reader:
            replies = reader.read().splitlines()
        rest.join()
        client.close()
        expect_equal(len(replies), 200_002, "replies with greeting and 221")
        expect(all(reply.startswith(b"250 ") for reply in replies[1:-1]), "250 for every NOOP")
        return f"{text}, stalled after {written >> 10} KiB"


def small_disk_command():
    """A shell in a mount namespace of its own; who isn't root becomes it in a user namespace."""
    return ["unshare", "-m" if os.geteuid() == 0 else "-rm", "sh", "-c"]


def enter_command(pid):
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", *user, "--mount", "-t", str(pid)]


def small_disks_possible():
    try:
        run = subprocess.run([*small_disk_command(), "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return run.returncode == 0


class SmallDiskNode(harness.Node):
    """A node whose data directory is a tmpfs of its own, in a mount namespace that outlives the process."""

    def __init__(self, options, disk_bytes):
        super().__init__(options)
        replace_in_config(self, "body_memtable_bytes: 67108864",
                          "body_memtable_bytes: 8388608 state_memtable_bytes: 4194304")
        # Outside of the mount, where we can reach it.
        self.config.write_text(self.config.read_text() + f'admin {{ socket: "{self.socket}" }}\n')
        self.data.mkdir(mode=0o700)
        self.holder = subprocess.Popen(
            [*small_disk_command(), f"mount -t tmpfs -o size={disk_bytes},mode=700 tmpfs {self.data} && "
             "echo mounted && read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        expect_equal(self.holder.stdout.readline(), "mounted\n", "the mount")

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        self.holder.communicate("\n")

    @property
    def socket(self):
        return self.directory / "admin.sock"

    @property
    def disk(self):
        """The data directory as seen from here."""
        return pathlib.Path(f"/proc/{self.holder.pid}/root{self.data}")

    def free_bytes(self):
        facts = os.statvfs(self.disk)
        return facts.f_bavail * facts.f_frsize

    def spawn(self, *arguments):
        self.starts += 1
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*enter_command(self.holder.pid),
                 harness.find_binary("node/holdfastd"), "--config", str(self.config), *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def big_message(identity, recipient):
    """A mebibyte that does not compress."""
    luck = random.Random(identity)
    lines = b"".join(luck.randbytes(400).hex().encode() + b"\r\n" for _ in range(MEBIBYTE // 802))
    return smtp_client.make_message(identity, "sender@back.test", recipient, 0) + lines


def feed_until_refused(node, count_max=400):
    """Big messages, as fast as they are taken, until MAIL is refused; the acknowledgements."""
    acknowledged = []
    with talk.Talk(node.smtp_port) as session:
        session.say("EHLO client.test")
        for number in range(count_max):
            reply = session.say(f"MAIL FROM:<sender@back.test> SIZE={MEBIBYTE + 4096}")
            if not reply.startswith("250"):
                expect(reply.startswith("452 4.3.1"), f"refusal at MAIL: {reply!r}")
                return acknowledged
            # A destination for each, for one that fails again and again would be left to rest for a minute.
            identity, recipient = f"full-{number}", f"user@host{number}.test"
            content = big_message(identity, recipient)
            expect(session.say(f"RCPT TO:<{recipient}>").startswith("250"), "RCPT")
            expect(session.say("DATA").startswith("354"), "DATA")
            session.write(smtp_client.stuff(content))
            reply = session.say(".")
            expect(reply.startswith("250"), f"reply to the final dot: {reply!r}")
            acknowledged.append(account.Acknowledged(identity, "sender@back.test", recipient,
                                                     smtp_client.digest(content)))
    raise cases.CaseFailed(f"{count_max} messages and no refusal; {node.free_bytes() >> 20} MiB are free")


def fill_disk(node, leave_bytes):
    with open(node.disk / "filler", "wb") as filler:
        filler.write(bytes(max(0, node.free_bytes() - leave_bytes)))


def mail_reply(node):
    with talk.Talk(node.smtp_port) as session:
        session.say("EHLO client.test")
        return session.say("MAIL FROM:<sender@back.test>")


def expect_all_arrive(node, sink, acknowledged):
    wait_until(lambda: account.settled(acknowledged, *sink.account_parts()), 40,
               lambda: f"all arrive: {account.account(acknowledged, *sink.account_parts()).line()}")
    wait_until(node.queue_empty, 20, lambda: f"queue empty: {node.queue()}")
    result = account.account(acknowledged, *sink.account_parts())
    expect_equal(result.faults(), [], "faults in the account")
    wait_until(lambda: mail_reply(node).startswith("250"), 20,
               lambda: f"mail is accepted again: {mail_reply(node)}, {node.free_bytes() >> 20} MiB are free")
    return result.line()


def small_disk_node(port):
    options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{port}"}, retry_waits=("1s",),
                                  disk_reserve_bytes=120 * MEBIBYTE)
    return SmallDiskNode(options, 240 * MEBIBYTE)


def finish_all(sessions):
    """Sends a big message in each session; the acknowledgements."""
    acknowledged = []
    for number, session in enumerate(sessions):
        identity, recipient = f"late-{number}", f"user@late{number}.test"
        content = big_message(identity, recipient)
        session.write(smtp_client.stuff(content))
        reply = session.say(".")
        expect(reply.startswith(("250", "452 4.3.1")), f"reply to the final dot: {reply!r}")
        if reply.startswith("250"):
            acknowledged.append(account.Acknowledged(identity, "sender@back.test", recipient,
                                                     smtp_client.digest(content)))
    return acknowledged


def restarted_for_space(node):
    return "event=no_space" in node.log_text()


def write_until_the_end(node):
    """The operator's commands are written without asking for room, as outcomes are; sooner or later one fails."""
    for number in range(10_000):
        if restarted_for_space(node):
            return
        node.cli("queue", "hold" if number % 2 == 0 else "release", "--all", "--reason", "x" * 200, check=False)
    raise cases.CaseFailed("10000 commands were written to a full disk")


def expect_refusal_for_space(node):
    def refused():
        try:
            return mail_reply(node).startswith("452 4.3.1")
        except OSError:
            return False  # It is being started.
    wait_until(refused, 20, lambda: f"452 while there is no space: {node.log_text()[-2000:]}")


def disk_has_no_byte_left():
    """Somebody else fills the disk. A store that can't write ends its process, which starts anew by itself, answers
    452 and waits; so does one that is started then. When there is room it goes on, and what was acknowledged is
    there. The messages that come last were begun while there was room."""
    port = harness.free_port()
    with small_disk_node(port) as node, contextlib.ExitStack() as stack:
        node.start()
        sessions = [stack.enter_context(talk.Talk(node.smtp_port)) for _ in range(20)]
        for number, session in enumerate(sessions):
            expect(session.begin("sender@back.test", f"user@late{number}.test").startswith("354"), "no 354")
        acknowledged = feed_until_refused(node)
        acknowledged += finish_all(sessions)
        fill_disk(node, 0)
        write_until_the_end(node)
        expect("the disk is full" in node.log_text(), f"what it says: {node.log_text()[-2000:]}")
        expect_refusal_for_space(node)
        expect(node.process.poll() is None, "the process goes on")
        node.kill()
        node.spawn()
        expect_refusal_for_space(node)
        (node.disk / "filler").unlink()
        wait_until(node.ready, 30, lambda: f"ready: {node.log_tail()}")
        node.cli("queue", "release", "--all", check=False)
        with sink_module.Sink(port=port) as sink:
            line = expect_all_arrive(node, sink, acknowledged)
        expect("event=space_back" in node.log_text(), "the log says that there is room again")
        return line


DNS_ANSWERS = {
    "servfail.test": dns_responder.Answer(rcode=dns_responder.SERVFAIL),
    "ourselves.test": dns_responder.Answer(((dns_responder.MX, "10 host.ourselves.test"),)),
    "host.ourselves.test": dns_responder.Answer(((dns_responder.A, "127.0.0.1"),)),
    "loop.test": dns_responder.Answer(((dns_responder.CNAME, "again.loop.test"),)),
    "again.loop.test": dns_responder.Answer(((dns_responder.CNAME, "loop.test"),)),
}


def entry_for(node, domain):
    """The recipient of the queued message to user@domain, once it has a status."""
    for entry in node.cli_json("queue", "list").get("messages", []):
        if entry["destination"] == domain and entry.get("last_status"):
            return node.cli_json("queue", "show", entry["queue_id"])["recipients"][0]
    return None


def dns_that_lies():
    with dns_responder.Responder(DNS_ANSWERS) as responder, sink_module.Sink() as sink:
        options = harness.NodeOptions(
            routes={"back.test": f"[127.0.0.1]:{sink.port}"}, retry_waits=("1h",), expiry="2h",
            node_extra=f'resolver {{ forwarders: "127.0.0.1:{responder.port}" timeout: "5s" }}')
        with harness.Node(options) as node:
            # Whoever believed such an answer would deliver to itself.
            policy = node.directory / "policy.textproto"
            policy.write_text(policy.read_text() + f"outbound {{ port: {node.smtp_port} }}\n")
            node.start()
            for name in ("servfail", "nx", "ourselves", "loop"):
                lifecycle.send(node, f"user@{name}.test", name)
            for domain in ("servfail.test", "loop.test"):
                recipient = wait_until(lambda: entry_for(node, domain), 30, f"{domain} is attempted")
                expect("4.4.3" in recipient["last_status"], f"{domain}: {recipient['last_status']!r}")
                expect_equal(recipient["outcome"], "open", f"outcome for {domain}")
            notices = wait_until(lambda: sink.account_parts()[1][1:] and sink.account_parts()[1], 20,
                                 lambda: f"two notices: {sink.account_parts()[1]}")
            by_id = {notice.id: notice for notice in notices}
            expect_equal(sorted(by_id), ["nx", "ourselves"], "bounced")
            expect_equal((by_id["nx"].action, by_id["nx"].status), ("failed", "5.1.2"), "notice for NXDOMAIN")
            expect(by_id["ourselves"].status.startswith("5.4."), f"MX at 127.0.0.1: {by_id['ourselves']}")
            expect_equal(metric(node, "holdfast_messages_accepted_total"), 4, "messages accepted, none of our own")
            expect("host.ourselves.test" in responder.asked(), "the lie was heard")
            return f"MX at 127.0.0.1: {by_id['ourselves'].status}"


def newer_store_format():
    with harness.node_with_sink() as (node, sink):
        expect_equal(node.terminate(), 0, "exit code")
        directory = next(node.data.rglob("CURRENT")).parent
        former = store_stamp.set_store_format(directory, 999)
        node.spawn()
        expect_equal(node.wait(20), 2, f"exit code:\n{node.log_tail(5)}")
        for text in ("format 999", f"reads format {former}", "newer holdfastd"):
            expect(text in node.log_text(), f"expected {text!r} in:\n{node.log_tail(5)}")
        store_stamp.set_store_format(directory, former)
        node.start()
        lifecycle.send(node, "user@one.test", "back")
        wait_until(lambda: lifecycle.copies_of(sink, "back"), 20, "nothing was touched meanwhile")


def unreadable_bodies():
    """What can't be read is not sent, not even in part; what no node has is held, with the reason, and others go on."""
    with sink_module.Sink() as sink:
        options = harness.NodeOptions(routes={"*": f"[127.0.0.1]:{harness.free_port()}"}, retry_waits=("1s",))
        with harness.Node(options) as node:
            node.start()
            lifecycle.send(node, "user@one.test", "damaged")
            wait_until(lambda: entry_for(node, "one.test"), 20, "a first attempt")
            expect_equal(node.terminate(), 0, "exit code")
            directory = next(node.data.rglob("CURRENT")).parent
            expect_equal(store_stamp.damage_bodies(directory), 1, "bodies")
            node.start()
            policy = node.directory / "back.textproto"
            policy.write_text(harness.policy_text(harness.NodeOptions(routes={"*": f"[127.0.0.1]:{sink.port}"},
                                                                      retry_waits=("1s",))))
            node.cli("policy", "apply", str(policy))
            lifecycle.send(node, "user@two.test", "whole")
            wait_until(lambda: lifecycle.copies_of(sink, "whole"), 20, "the other message is delivered")
            wait_until(lambda: node.queue()["held_messages"] == 1, 20, lambda: f"it is held:\n{node.log_tail(5)}")
            held = node.cli_json("queue", "list", "--state", "held")["messages"][0]
            reason = node.cli_json("queue", "show", held["queue_id"])["message"]["held_reason"]
            expect("none of 0 other members has it" in reason, f"why it is held: {reason!r}")
            for event in ("body_unreadable", "body_lost"):
                expect(f"event={event}" in node.log_text(), f"the log says {event}:\n{node.log_tail(5)}")
            expect_equal(len(sink.records()), 1, "messages at the sink")


CASES = (
    ("64 MiB of one command line", endless_command_line),
    ("200 MiB of one line of content", endless_content_line),
    ("10,000 recipients", ten_thousand_recipients),
    ("garbage, half commands, resets within DATA", garbage),
    ("60 silent peers and one more", silent_peers),
    ("a client that never reads", client_that_never_reads),
    ("DNS that fails and lies", dns_that_lies),
    ("a store of a newer format", newer_store_format),
    ("a message whose stored body is damaged", unreadable_bodies),
)
DISK_CASES = (
    ("a disk without a byte left", disk_has_no_byte_left),
)


def main():
    counter = cases.Cases(only=sys.argv[1] if len(sys.argv) > 1 else None)
    for name, function in CASES:
        counter.run(name, function)
    if small_disks_possible():
        for name, function in DISK_CASES:
            counter.run(name, function)
    else:
        print("not run: the cases of a full disk, for mount namespaces are not permitted here", flush=True)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
