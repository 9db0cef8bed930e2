"""swaks as the client: samples byte for byte, pipelining, and a client that vanishes."""

import pathlib
import tempfile

import common
import samples
import smtp_client
from cases import expect, wait_until


def send_sample(node, sink, identity, content):
    recipient = f"swaks-{identity}@one.test"
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "message"
        # Without swaks' own changes to the data, dot stuffing and the final dot are ours to write.
        path.write_bytes(smtp_client.stuff(content) + b".")
        common.run_client(["swaks", "--server", f"127.0.0.1:{node.smtp_port}", "--helo", "client.test",
                           "--from", "sender@back.test", "--to", recipient, "--data", f"@{path}",
                           "--no-data-fixup", "--silent", "1"])
    common.expect_same(common.arrived_for(sink, recipient)[0], content)


def pipelined(node, sink):
    common.run_client(["swaks", "--server", f"127.0.0.1:{node.smtp_port}", "--from", "sender@back.test",
                       "--to", "p1@one.test,p2@one.test,p3@two.test", "--pipeline", "--silent", "1"])
    for recipient in ("p1@one.test", "p2@one.test", "p3@two.test"):
        common.arrived_for(sink, recipient)


def dropped_in_data(node, sink):
    """A client that vanishes in DATA leaves nothing behind."""
    common.run_client(["swaks", "--server", f"127.0.0.1:{node.smtp_port}", "--from", "sender@back.test",
                       "--to", "dropped@one.test", "--drop-after-send", "DATA", "--silent", "3"], codes=(0, 9))
    # What arrived just before may not be recorded yet.
    wait_until(lambda: node.queue()["messages"] == 0, 20, lambda: f"nothing queued: {node.queue()}")
    expect(not [r for r in sink.records() if "dropped@one.test" in r.recipients], "the half message was sent on")


def run(counter, node, sink):
    for name, identity, content in samples.all_samples():
        if name in ("plain", "dots", "eight-bit", "long-line", "bcc-kept", "trailing-blanks"):
            counter.run(f"in: swaks, {name}", send_sample, node, sink, identity, content)
    counter.run("in: swaks, pipelined to three recipients", pipelined, node, sink)
    counter.run("in: swaks, gone in DATA", dropped_in_data, node, sink)
