"""What the documents show must be true: their configurations are accepted, their commands exist, their links lead
somewhere."""

import pathlib
import re
import shlex
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent.parent / "ops" / "lib"))
sys.path.insert(0, str(pathlib.Path(__file__).absolute().parent.parent / "interop"))

import cases  # noqa: E402
import common  # noqa: E402
import harness  # noqa: E402
from cases import expect, expect_equal  # noqa: E402

DOCUMENTS = sorted([*harness.ROOT.glob("*.md"), *harness.ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^\s*```\n(.*?)^\s*```", re.M | re.S)
POLICY = re.compile(r"^(routes|relay_domains|mail_name|retry|postmaster_address)\b", re.M)
COMMAND = re.compile(r"^\s*(holdfast .*)$", re.M)


def blocks():
    for path in DOCUMENTS:
        for number, match in enumerate(BLOCK.finditer(path.read_text()), 1):
            yield f"{path.relative_to(harness.ROOT)} block {number}", match.group(1)


def node_file_is_accepted(text):
    with tempfile.TemporaryDirectory(prefix="holdfast-", dir="/tmp") as directory:
        certificate, key = common.self_signed(directory)
        policy = pathlib.Path(directory) / "policy.textproto"
        policy.write_text('postmaster_address: "admin@example.com"\n')
        text = re.sub(r'"/etc/holdfast/\w+\.pem"', f'"{certificate}"', text)
        text = re.sub(r'"/etc/holdfast/\w+\.key"', f'"{key}"', text)
        text = text.replace("/etc/holdfast/policy.textproto", str(policy)).replace('user: "holdfast"', "")
        file = pathlib.Path(directory) / "node.textproto"
        file.write_text(text)
        common.run_client([harness.find_binary("node/holdfastd"), "--config", str(file), "--check"])


def policy_is_accepted(node, text):
    file = node.directory / "documented.textproto"
    file.write_text(text)
    node.cli("policy", "check", str(file))


def command_exists(node, line):
    """The words up to the first that is no verb are a command that has help."""
    words = [word for word in shlex.split(line, comments=True)[1:]]
    while words and words[0].startswith("--"):
        words = words[2:]
    verbs = []
    for word in words:
        if not re.fullmatch(r"[a-z][a-z-]*", word) or len(verbs) == 2:
            break
        verbs.append(word)
    options = [word for word in words if word.startswith("--")]
    text = node.cli(*verbs, "--help").stdout
    for option in options:
        expect(option in text, f"holdfast {' '.join(verbs)} has no {option}:\n{text}")


def links_lead_somewhere():
    dead = []
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            if "://" not in target and not (path.resolve().parent / target).exists():
                dead.append(f"{path.name}: {target}")
    expect_equal(dead, [], "dead links")


def main():
    counter = cases.Cases(only=sys.argv[1] if len(sys.argv) > 1 else None)
    with harness.Node(harness.NodeOptions(routes={"*": "[127.0.0.1]:9"})) as node:
        node.start()
        commands = {}
        for name, text in blocks():
            if "data_dir:" in text:
                counter.run(f"{name}: node file", node_file_is_accepted, text)
            elif POLICY.search(text):
                counter.run(f"{name}: policy", policy_is_accepted, node, text)
            for line in COMMAND.findall(text):
                commands.setdefault(line.strip(), name)
        for line, name in commands.items():
            counter.run(f"{name}: {line}", command_exists, node, line)
    counter.run("links in the documents", links_lead_somewhere)
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
