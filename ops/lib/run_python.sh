#!/bin/sh
# SCRIPT ARGUMENTS...: with Debian's own Python, which is the one that has aiosmtpd.
# Under Bazel the programs are in the runfiles, which is where a test starts; Python follows the links to the
# sources and would look there.
if [ -n "${TEST_SRCDIR:-}" ]; then
  HOLDFAST_BIN=$PWD
  export HOLDFAST_BIN
fi
script=$1
shift
exec /usr/bin/python3 "$script" "$@"
