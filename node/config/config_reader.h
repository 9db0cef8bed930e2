// node/config/config_reader.h
// Reads the two configuration files (protobuf text format) and checks what they mean. Every problem
// found is reported, with the place of the field that causes it, so that one run shows all of them:
//
//   node.textproto:7:13: no field `lisener` in NodeConfig; did you mean `listeners`?
//   node.textproto:9:3: hostname is required when a listener can be reached from outside ...
//
// Threads: functions without state.
// Errors:  bad input makes problems, never a crash. Limits: text over kConfigBytesMax is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "node/config/settings.h"

namespace holdfast::node {

inline constexpr size_t kConfigBytesMax = 1 << 20;

// Lines and columns count from 1; 0 when the problem has no place of its own.
struct ConfigProblem {
  int line = 0;
  int column = 0;
  std::string text;

  // "file:line:column: text".
  std::string ToString(std::string_view file) const;
};

// One problem a line, each ended by a newline.
std::string ProblemLines(const std::vector<ConfigProblem>& problems, std::string_view file);

template <typename Settings>
struct ConfigResult {
  Settings settings;  // Meaningful only without problems.
  std::vector<ConfigProblem> problems;
  bool ok() const { return problems.empty(); }
  std::string ProblemText(std::string_view file) const { return ProblemLines(problems, file); }
};

struct NodeReadOptions {
  // Looks at the files and directories that the settings name. Off in the fuzzer.
  bool check_files = true;
};

// The node file's meaning. An empty text is valid: all defaults.
ConfigResult<NodeSettings> ReadNodeConfig(std::string_view text,
                                          const NodeReadOptions& options = {});

struct PolicyReadOptions {
  // Some node of the cluster can be reached from outside: postmaster_address is required.
  bool beyond_loopback = false;
};

// The policy's meaning. An empty text is the default policy.
ConfigResult<PolicySettings> ReadPolicy(std::string_view text,
                                        const PolicyReadOptions& options = {});

// The text in one canonical form: fields in order, no comments, one field a line. For comparing.
// Text that does not parse is returned as it is.
std::string CanonicalPolicyText(std::string_view text);

// The whole file, or nothing and a problem that says why not (absent, too long, not readable).
struct FileText {
  std::string text;
  std::vector<ConfigProblem> problems;
};
FileText ReadConfigFile(const std::string& path);

}  // namespace holdfast::node
