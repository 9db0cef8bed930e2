// smtp/protocol/command_parser.h
// One command line taken apart (RFC 5321 4.1.1), and the assembly of lines from a byte stream.
//
// Threads: pure functions; a LineAssembler belongs to one conversation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::smtp {

enum class Verb {
  kUnknown,
  kEhlo,
  kHelo,
  kMail,
  kRcpt,
  kData,
  kBdat,
  kRset,
  kNoop,
  kQuit,
  kVrfy,
  kExpn,
  kHelp,
  kStartTls,
  kAuth,
  kEtrn,
  kAtrn,
  kTurn,
  kForeign,  // The first word of another protocol: GET, POST, CONNECT... (cross-protocol attacks).
};

// The name in capitals, "" for kUnknown and kForeign. For logs and replies.
std::string_view VerbName(Verb verb);

// Views into the line that was parsed.
struct CommandLine {
  Verb verb = Verb::kUnknown;
  std::string_view arguments;  // Behind the verb, without spaces in front and at the end.
};

// `line` is without CRLF. Verbs are case-insensitive; a space or the end of line ends one.
CommandLine ParseCommandLine(std::string_view line);

// The argument of MAIL or RCPT behind "FROM:" or "TO:" (`keyword`), which is case-insensitive.
// Spaces behind the colon are illegal but common, so they are skipped. nullopt: no such keyword.
std::optional<std::string_view> PathArgument(std::string_view arguments, std::string_view keyword);

// BDAT's argument (RFC 3030 2).
struct BdatArgument {
  enum class Kind {
    kOk,
    kSizeKnown,   // A good size, and something wrong behind it: swallow, then 501.
    kNoSize,      // Not a number at all: nothing can follow it.
    kBrokenSize,  // Begins as a number and can't be one: where the payload ends is unknowable.
  };
  Kind kind = Kind::kNoSize;
  uint64_t bytes = 0;
  bool last = false;
};
BdatArgument ParseBdatArgument(std::string_view arguments);

// Collects one line from any segmentation. Only CRLF ends a good line. An LF without CR ends a
// line too, but a bad one, behind which the stream can't be trusted: what one side takes for one
// command, the other took for two.
// Limits: `line_bytes_max` with CRLF. A longer line is read to its end, dropped, and reported once.
class LineAssembler {
 public:
  enum class State { kMore, kLine, kTooLong, kBareLf };

  explicit LineAssembler(size_t line_bytes_max) : line_bytes_max_(line_bytes_max) {}

  // Uses bytes up to the end of the line. While the state isn't kMore, call Next() first.
  size_t Feed(std::string_view bytes);
  State state() const { return state_; }
  // Without CRLF. Valid until the next Feed(), Next() or Clear(), and while the bytes last fed are:
  // a line that came in one piece isn't copied.
  std::string_view line() const { return line_; }
  // Something of an unfinished line was read.
  bool in_line() const { return state_ == State::kMore && (!partial_.empty() || dropping_); }
  // Begins the next line.
  void Next();
  // Forgets everything, as STARTTLS demands.
  void Clear() { Next(); }

 private:
  void End(std::string_view whole);

  const size_t line_bytes_max_;
  State state_ = State::kMore;
  bool dropping_ = false;
  char last_dropped_ = 0;
  std::string partial_;
  std::string_view line_;
};

}  // namespace holdfast::smtp
