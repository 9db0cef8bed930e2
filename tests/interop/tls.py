"""STARTTLS in both directions, and what mandatory TLS does to mail when it cannot be had."""

import pathlib
import smtplib
import ssl
import tempfile

import common
import harness
import sink as sink_module
from cases import expect


def client_context():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def in_smtplib(node, sink):
    with smtplib.SMTP("127.0.0.1", node.smtp_port, local_hostname="client.test") as client:
        client.ehlo()
        expect(client.has_extn("starttls"), "STARTTLS is not offered")
        client.starttls(context=client_context())
        client.ehlo()
        expect(not client.has_extn("starttls"), "STARTTLS is offered inside TLS")
        client.sendmail("sender@back.test", ["tls1@one.test"], b"Subject: x\r\n\r\nx\r\n")
    trace = common.trace_of(common.arrived_for(sink, "tls1@one.test")[0])
    expect("with ESMTPS" in trace, f"RFC 3848: {trace!r}")


def in_msmtp(node, sink):
    common.run_client(["msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={node.smtp_port}",
                       "--domain=client.test", "--from=sender@back.test", "--tls=on", "--tls-starttls=on",
                       "--tls-certcheck=off", "--auth=off", "--", "tls2@one.test"], stdin=b"Subject: x\n\nx\n")
    common.arrived_for(sink, "tls2@one.test")


def in_curl(node, sink):
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "message"
        path.write_bytes(b"Subject: x\r\n\r\nx\r\n")
        common.run_client(["curl", "--silent", "--show-error", "--ssl-reqd", "--insecure", "--url",
                           f"smtp://127.0.0.1:{node.smtp_port}", "--mail-from", "sender@back.test",
                           "--mail-rcpt", "tls3@one.test", "--upload-file", str(path)])
    common.arrived_for(sink, "tls3@one.test")


def injected_command(node, _sink):
    """What was sent behind STARTTLS in clear text must not be run inside TLS."""
    import talk
    with talk.Talk(node.smtp_port) as session:
        session.say("EHLO client.test")
        session.write(b"STARTTLS\r\nNOOP injected\r\n")
        reply = session.reply()
        if reply.startswith("220"):
            inside = client_context().wrap_socket(session._socket)
            inside.settimeout(10)
            inside.sendall(b"EHLO client.test\r\n")
            first = inside.recv(4096).decode()
            expect(first.startswith("250-") or first.startswith("250 "), f"after TLS: {first!r}")
            expect("injected" not in first and first.count("\n250 ") <= 1, f"the injected command ran: {first!r}")
            inside.close()
        else:
            expect(reply[:1] in "45" or not reply, f"reply {reply!r}")


def out_opportunistic(node, _sink, secure):
    common.send(node.smtp_port, ["out@may.test"], b"Subject: x\r\n\r\nx\r\n")
    expect(common.arrived_for(secure, "out@may.test")[0].tls, "STARTTLS was offered and not used")


def out_encrypt_to_plain_waits(node, sink, _secure):
    """Mandatory TLS where there is none: deferred, never in clear text."""
    common.send(node.smtp_port, ["out@encrypt.test"], b"Subject: x\r\n\r\nx\r\n")

    def deferred():
        return "event=deferred" in node.log_text() and "out@encrypt.test" in node.log_text()
    common.cases.wait_until(deferred, common.SECONDS, "a deferral in the log")
    expect(not [r for r in sink.records() if "out@encrypt.test" in r.recipients], "sent in clear text")


def out_verify_unknown_authority_waits(node, _sink, secure):
    common.send(node.smtp_port, ["out@verify.test"], b"Subject: x\r\n\r\nx\r\n")

    def deferred():
        return any("event=deferred" in line and "out@verify.test" in line for line in node.log_text().splitlines())
    common.cases.wait_until(deferred, common.SECONDS, "a deferral in the log")
    expect(not [r for r in secure.records() if "out@verify.test" in r.recipients], "sent to an unknown certificate")


def run(counter):
    with tempfile.TemporaryDirectory(prefix="holdfast-", dir="/tmp") as directory:
        certificate, key = common.self_signed(directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        with sink_module.Sink() as sink, sink_module.Sink(sink_module.SinkOptions(tls=context)) as secure:
            plain, tls = f"[127.0.0.1]:{sink.port}", f"[127.0.0.1]:{secure.port}"
            policy = "\n".join([
                f'routes {{ destination: "encrypt.test" next_hop: "{plain}" tls: TLS_ENCRYPT }}',
                f'routes {{ destination: "verify.test" next_hop: "{tls}" tls: TLS_VERIFY }}'])
            options = harness.NodeOptions(
                routes={"*": plain, "may.test": tls}, policy_extra=policy,
                node_extra=f'tls {{ certificate_file: "{certificate}" key_file: "{key}" }}')
            with harness.Node(options) as node:
                node.start()
                counter.run("TLS in: smtplib", in_smtplib, node, sink)
                counter.run("TLS in: msmtp", in_msmtp, node, sink)
                counter.run("TLS in: curl", in_curl, node, sink)
                counter.run("TLS in: commands sent before the handshake are dropped", injected_command, node, sink)
                counter.run("TLS out: used when offered", out_opportunistic, node, sink, secure)
                counter.run("TLS out: demanded and not offered waits", out_encrypt_to_plain_waits, node, sink, secure)
                counter.run("TLS out: an unknown certificate waits", out_verify_unknown_authority_waits, node, sink,
                            secure)
