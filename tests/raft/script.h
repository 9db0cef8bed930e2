// tests/raft/script.h
// Scripts: text files of commands and the exact output each must give.
//
//   # A comment, kept when the file is rewritten.
//   command argument key=value key=(a,b)
//   optional input lines
//   ----
//   expected output, up to an empty line
//
// Output that holds empty lines stands between "----", "----" and "----", "----". The format is
// that of Go's datadriven package, so that the scripts published with etcd-io/raft can be read.
// Threads: values and pure functions, but for the two that touch files.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace holdfast::raft_test {

struct ScriptArgument {
  std::string key;
  std::vector<std::string> values;  // Empty: the argument was just a word.
};

struct ScriptCommand {
  int line = 0;
  std::string name;
  std::vector<ScriptArgument> arguments;
  std::string input;

  // The value of `key`, if it has exactly one.
  std::optional<std::string> Value(std::string_view key) const;
  // Words without a value, in order.
  std::vector<std::string> Words() const;
};

struct ScriptStep {
  ScriptCommand command;
  std::string directive;  // The command as it stood in the file, with its input.
  std::string before;     // Comments and empty lines above it.
  std::string expected;
};

struct Script {
  std::vector<ScriptStep> steps;
  std::string rest;  // What follows the last step.
};

// kInvalidArgument with the line.
absl::StatusOr<Script> ParseScript(std::string_view text);

// Runs a command and answers with its output; no output at all stands in scripts as "ok".
using ScriptHandler = std::function<std::string(const ScriptCommand&)>;

struct ScriptResult {
  // Empty: all as expected. Otherwise where, and what differs.
  std::string difference;
  // The script with the output that came.
  std::string rewritten;
};

// `strip_logs` leaves out of both sides every line that starts, after blanks, with INFO, DEBUG,
// WARN or ERROR: what another implementation's logger had to say.
ScriptResult RunScript(const Script& script, const ScriptHandler& handler, bool strip_logs);

// All files below `directory` whose names end in .txt, in order of their paths.
std::vector<std::string> FindScripts(const std::string& directory);
absl::StatusOr<std::string> ReadWholeFile(const std::string& path);

}  // namespace holdfast::raft_test
