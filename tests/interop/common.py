"""What the interop files share: paths, sending, waiting for the sink, comparing octets."""

import asyncio
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))

import cases  # noqa: E402
import harness  # noqa: E402,F401
import smtp_client  # noqa: E402
import sink as sink_module  # noqa: E402,F401

import samples  # noqa: E402

SECONDS = 30


def run_client(command, stdin=b"", environment=None, codes=(0,)):
    """Runs a client program; CaseFailed with all that it said when it fails."""
    run = subprocess.run(command, input=stdin, capture_output=True, timeout=60, env=environment, check=False)
    text = (run.stdout + run.stderr).decode(errors="replace")
    if run.returncode not in codes:
        raise cases.CaseFailed(f"{command[0]} ended with {run.returncode}: {text[-1500:]}")
    return text


def send(port, recipients, content, sender="sender@back.test", parameters=""):
    """One message over a connection of our own client; returns the reply to the final dot."""
    async def go():
        connection = await smtp_client.Connection.open(port)
        try:
            return await connection.send(sender, recipients, content, parameters)
        finally:
            await connection.close()
    try:
        return asyncio.run(go())
    except smtp_client.Refused as error:
        raise cases.CaseFailed(f"refused: {error}") from None


def arrived(sink, identity, count=1):
    """Waits for the records (messages, not notices) that carry the id."""
    def found():
        records = [record for record in sink.find(identity) if record.sender]
        return records if len(records) >= count else None
    records = cases.wait_until(found, SECONDS, f"{count} messages with id {identity} at the sink")
    cases.expect_equal(len(records), count, f"messages with id {identity}")
    return records


def expect_same(record, content, hops=1):
    got = samples.below_our_trace(record.content, hops)
    if got == content:
        return
    if got is None:
        raise cases.CaseFailed(f"fewer than {hops} Received fields on top: {record.content[:300]!r}")
    raise cases.CaseFailed(f"changed {difference(got, content)}")


def difference(got, content):
    """Where the two differ first, and what stands there."""
    place = next((i for i, (a, b) in enumerate(zip(got, content)) if a != b), min(len(got), len(content)))
    return (f"at octet {place}: sent {content[max(0, place - 30):place + 40]!r}, "
            f"received {got[max(0, place - 30):place + 40]!r}")


def notices_of(sink, identity):
    return [notice for notice in sink.account_parts()[1] if notice.id == identity]


def bounce_of(sink, identity):
    """Waits for the one notice about a message with one recipient."""
    notices = cases.wait_until(lambda: notices_of(sink, identity), SECONDS, f"a notice about {identity}")
    cases.expect_equal(len(notices), 1, "recipients reported")
    return notices[0]


def trace_of(record):
    """Our Received field, unfolded."""
    return record.content[:record.content.find(b"\r\n" + samples.below_our_trace(record.content)[:20])].decode()


def self_signed(directory, name="localhost"):
    """A certificate and its key for tests; returns both paths."""
    certificate, key = pathlib.Path(directory) / "cert.pem", pathlib.Path(directory) / "key.pem"
    run_client(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1",
                "-keyout", str(key), "-out", str(certificate)])
    key.chmod(0o600)
    return certificate, key


def arrived_for(sink, recipient):
    """Waits for the one record for a recipient; for clients that write their own header."""
    def found():
        return [record for record in sink.records() if recipient in record.recipients]
    records = cases.wait_until(found, SECONDS, f"a message for {recipient} at the sink")
    cases.expect_equal(len(records), 1, f"messages for {recipient}")
    return records
