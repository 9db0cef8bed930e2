"""Public clients and servers against a real holdfastd, what goes in compared with what comes out.

  tests/interop/run.py [PART OF A CASE'S NAME]
"""

import sys

import common
import in_curl
import in_msmtp
import in_smtp_source
import in_smtplib
import in_swaks
import next_hop_without
import out_aiosmtpd
import out_exim
import out_postfix
import relay_rules
import tls

WITH_SINK = (in_swaks, in_curl, in_msmtp, in_smtplib, in_smtp_source, out_aiosmtpd)
ALONE = (out_postfix, out_exim, next_hop_without, tls, relay_rules)


def attempt(counter, name, function):
    """Runs one file's cases; one that cannot even start is a failed case, and the rest still run."""
    try:
        function()
    except Exception as error:
        counter.fail(f"{name}: set-up", repr(error) if not isinstance(error, common.cases.CaseFailed) else str(error))


def run_with_sink(counter, module):
    with common.harness.node_with_sink() as (node, sink):
        module.run(counter, node, sink)


def main():
    counter = common.cases.Cases(only=sys.argv[1] if len(sys.argv) > 1 else None)
    for module in WITH_SINK:
        attempt(counter, module.__name__, lambda module=module: run_with_sink(counter, module))
    for module in ALONE:
        attempt(counter, module.__name__, lambda module=module: module.run(counter))
    return counter.finish()


if __name__ == "__main__":
    sys.exit(main())
