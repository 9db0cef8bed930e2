// ops/bench/options.h
// The command line of holdfast-bench: what `load`, `sink` and `account` were told.
//
// Threads: values; parsing is pure but for the texts that it prints.
// Errors:  wrong usage is a text that says what was expected, and exit code 2.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace holdfast::bench {

enum ExitCode { kDone = 0, kFailed = 1, kUsage = 2 };

struct SizeRange {
  uint64_t min_bytes = 4096;
  uint64_t max_bytes = 4096;
  bool operator==(const SizeRange&) const = default;
};

// "4096", "4k", "1m", "1k-64k"; at most 1 GiB. nullopt: malformed.
std::optional<SizeRange> ParseSizeRange(std::string_view text);

// "500ms", "30s", "5m", or a bare number of seconds; above zero. nullopt: malformed.
std::optional<absl::Duration> ParseSpan(std::string_view text);

struct HostPort {
  std::string host;  // A name or an address, without brackets.
  uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};

// "relay.example:25", "127.0.0.1:0", "[::1]:2525". nullopt: malformed.
std::optional<HostPort> ParseHostPort(std::string_view text);

struct LoadOptions {
  std::vector<HostPort> targets;
  size_t connections = 10;
  std::optional<uint64_t> messages;
  std::optional<absl::Duration> duration;
  double rate = 0;  // Messages a second; 0: as fast as the answers come.
  SizeRange size;
  size_t recipients = 1;  // Of each message.
  size_t messages_per_connection = 100;
  bool plain = false;  // One command at a time, whatever PIPELINING says.
  std::vector<std::string> domains = {"load.test"};  // Messages go to them in turn.
  std::string sender = "sender@back.test";
  std::string record_file;  // Empty: none.
  int tries = 5;            // Of each recipient, before it is given up.
  // How long one message waits for a target that takes connections.
  absl::Duration patience = absl::Seconds(30);
  absl::Duration answer_timeout = absl::Seconds(60);  // For the answer to the dot.
  bool quiet = false;
  bool json = false;
};

enum class Stall {
  kNone,
  kGreeting,  // Connections come about and nothing is ever said.
  kDot,       // The dot is never answered.
};

struct SinkOptions {
  HostPort listen = {"127.0.0.1", 0};
  std::string port_file;    // Empty: none.
  std::string record_file;  // Empty: none.
  double reject_percent = 0;
  double defer_percent = 0;
  // Deferred recipients are taken once the sink has run for so long.
  absl::Duration defer_for = absl::InfiniteDuration();
  absl::Duration delay;  // Before the answer to the dot.
  double silent_percent = 0;
  Stall stall = Stall::kNone;
  std::optional<uint64_t> expected;  // Ends by itself once so many recipients were accepted.
  size_t connections_max = 1000;
  bool quiet = false;
  bool json = false;
};

struct AccountOptions {
  std::vector<std::string> load_files;
  std::vector<std::string> sink_files;
  size_t names_max = 100;
  size_t memory_mib = 256;
  bool json = false;
};

using Command = std::variant<LoadOptions, SinkOptions, AccountOptions>;

struct Parsed {
  std::optional<Command> command;
  int exit_code = kDone;  // Without a command: what to end with; help was asked for, or an error.
};

// `arguments` without the program's name.
Parsed ParseArguments(const std::vector<std::string>& arguments, std::ostream& out,
                      std::ostream& err);

}  // namespace holdfast::bench
