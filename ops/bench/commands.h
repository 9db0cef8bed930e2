// ops/bench/commands.h
// The three commands of holdfast-bench, each from its options to its exit code: they own the io
// context, the signals and the files.
//
// Threads: the caller's. Errors: one line on `err` and kFailed.
#pragma once

#include <ostream>

#include "ops/bench/options.h"

namespace holdfast::bench {

struct Streams {
  std::ostream& out;
  std::ostream& err;
};

// SIGINT or SIGTERM: no new message begins, those under way come to their end; the second one cuts
// them. kFailed if nothing at all was accepted.
int RunLoad(const LoadOptions& options, const Streams& streams);

// Prints `port N` first. Ends on SIGINT or SIGTERM, or when what was expected has come.
int RunSink(const SinkOptions& options, const Streams& streams);

// kFailed if anything was lost, changed, bounced twice, or both delivered and bounced.
int RunAccount(const AccountOptions& options, const Streams& streams);

}  // namespace holdfast::bench
