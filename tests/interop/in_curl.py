"""libcurl as the client."""

import pathlib
import tempfile

import common
import samples


def send_sample(node, sink, identity, content):
    recipient = f"curl-{identity}@one.test"
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "message"
        path.write_bytes(content)
        common.run_client(["curl", "--silent", "--show-error", "--url",
                           f"smtp://127.0.0.1:{node.smtp_port}/client.test", "--mail-from", "sender@back.test",
                           "--mail-rcpt", recipient, "--upload-file", str(path)])
    common.expect_same(common.arrived_for(sink, recipient)[0], content)


def two_recipients(node, sink):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "message"
        path.write_bytes(b"Subject: two\r\n\r\ntext\r\n")
        common.run_client(["curl", "--silent", "--show-error", "--url", f"smtp://127.0.0.1:{node.smtp_port}",
                           "--mail-from", "sender@back.test", "--mail-rcpt", "curl1@one.test",
                           "--mail-rcpt", "curl2@two.test", "--upload-file", str(path)])
    common.arrived_for(sink, "curl1@one.test")
    common.arrived_for(sink, "curl2@two.test")


def run(counter, node, sink):
    for name, identity, content in samples.all_samples():
        if name in ("plain", "dots", "long-line", "eight-bit", "large"):
            counter.run(f"in: curl, {name}", send_sample, node, sink, identity, content)
    counter.run("in: curl, two recipients", two_recipients, node, sink)
