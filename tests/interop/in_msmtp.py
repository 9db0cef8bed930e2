"""msmtp as the client. It reads LF line ends, and writes no fields of its own when told so."""

import common
import samples
from cases import CaseFailed


def send_sample(node, sink, identity, content):
    recipient = f"msmtp-{identity}@one.test"
    common.run_client(["msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={node.smtp_port}",
                       "--domain=client.test", "--from=sender@back.test", "--set-from-header=off",
                       "--set-date-header=off", "--set-msgid-header=off", "--remove-bcc-headers=off",
                       "--tls=off", "--auth=off", "--", recipient], stdin=content.replace(b"\r\n", b"\n"))
    common.expect_same(common.arrived_for(sink, recipient)[0], content)


def server_info(node, _sink):
    text = common.run_client(["msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={node.smtp_port}",
                              "--tls=off", "--serverinfo"])
    for keyword in ("PIPELINING", "SIZE", "DSN"):
        if keyword not in text:
            raise CaseFailed(f"msmtp sees no {keyword} in:\n{text}")


def run(counter, node, sink):
    for name, identity, content in samples.all_samples():
        if name in ("plain", "dots", "eight-bit", "blank-lines", "bcc-kept"):
            counter.run(f"in: msmtp, {name}", send_sample, node, sink, identity, content)
    counter.run("in: msmtp reads the capabilities", server_info, node, sink)
