// ops/cli/cli.h
// The admin command line, `holdfast`: nouns with verbs, each a call of the admin service
// (but for `cert`, which works on files alone). main.cc
// hands it the process' arguments and streams; tests hand it their own.
//
// Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 the node cannot be reached.
// Threads: one. Limits: --timeout for the whole command.
#pragma once

#include <istream>
#include <ostream>
#include <string>
#include <vector>

namespace holdfast::cli {

enum ExitCode { kDone = 0, kFailed = 1, kUsage = 2, kUnreachable = 3 };

struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
};

// `arguments` without the program's name.
int RunCli(const std::vector<std::string>& arguments, const Streams& streams);

}  // namespace holdfast::cli
