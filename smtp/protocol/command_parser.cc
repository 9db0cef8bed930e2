#include "smtp/protocol/command_parser.h"

#include <array>
#include <charconv>
#include <limits>

#include "smtp/protocol/address.h"

namespace holdfast::smtp {
namespace {

struct VerbEntry {
  std::string_view name;
  Verb verb;
};

constexpr std::array<VerbEntry, 17> kVerbs = {{
    {"EHLO", Verb::kEhlo},
    {"HELO", Verb::kHelo},
    {"MAIL", Verb::kMail},
    {"RCPT", Verb::kRcpt},
    {"DATA", Verb::kData},
    {"BDAT", Verb::kBdat},
    {"RSET", Verb::kRset},
    {"NOOP", Verb::kNoop},
    {"QUIT", Verb::kQuit},
    {"VRFY", Verb::kVrfy},
    {"EXPN", Verb::kExpn},
    {"HELP", Verb::kHelp},
    {"STARTTLS", Verb::kStartTls},
    {"AUTH", Verb::kAuth},
    {"ETRN", Verb::kEtrn},
    {"ATRN", Verb::kAtrn},
    {"TURN", Verb::kTurn},
}};

// What browsers and proxies can be made to send first; none is a word of SMTP.
constexpr std::array<std::string_view, 11> kForeignWords = {
    "GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PATCH", "TRACE", "PRI", "HOST:"};

std::string_view TrimSpaces(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string_view VerbName(Verb verb) {
  for (const VerbEntry& entry : kVerbs) {
    if (entry.verb == verb) return entry.name;
  }
  return "";
}

CommandLine ParseCommandLine(std::string_view line) {
  CommandLine command;
  line = TrimSpaces(line);
  const size_t end = line.find_first_of(" \t");
  const std::string_view word = line.substr(0, end);
  if (end != std::string_view::npos) command.arguments = TrimSpaces(line.substr(end));
  for (const VerbEntry& entry : kVerbs) {
    if (EqualsIgnoreCase(word, entry.name)) command.verb = entry.verb;
  }
  for (std::string_view foreign : kForeignWords) {
    if (EqualsIgnoreCase(word, foreign)) command.verb = Verb::kForeign;
  }
  return command;
}

std::optional<std::string_view> PathArgument(std::string_view arguments, std::string_view keyword) {
  if (!EqualsIgnoreCase(arguments.substr(0, keyword.size()), keyword)) return std::nullopt;
  return TrimSpaces(arguments.substr(keyword.size()));
}

BdatArgument ParseBdatArgument(std::string_view arguments) {
  BdatArgument argument;
  arguments = TrimSpaces(arguments);
  const size_t end = arguments.find_first_of(" \t");
  const std::string_view size = arguments.substr(0, end);
  if (size.empty() || size.front() < '0' || size.front() > '9') return argument;

  const auto [stop, error] =
      std::from_chars(size.data(), size.data() + size.size(), argument.bytes);
  // Half of the range is more than anybody can send, and leaves sums room.
  if (error != std::errc() || stop != size.data() + size.size() ||
      argument.bytes > std::numeric_limits<uint64_t>::max() / 2) {
    argument.kind = BdatArgument::Kind::kBrokenSize;
    argument.bytes = 0;
    return argument;
  }
  const std::string_view rest =
      end == std::string_view::npos ? "" : TrimSpaces(arguments.substr(end));
  argument.last = EqualsIgnoreCase(rest, "LAST");
  argument.kind =
      rest.empty() || argument.last ? BdatArgument::Kind::kOk : BdatArgument::Kind::kSizeKnown;
  return argument;
}

size_t LineAssembler::Feed(std::string_view bytes) {
  if (state_ != State::kMore || bytes.empty()) return 0;
  const size_t end = bytes.find('\n');
  const size_t used = end == std::string_view::npos ? bytes.size() : end + 1;
  const std::string_view piece = bytes.substr(0, used);

  if (!dropping_ && partial_.size() + used > line_bytes_max_) {
    dropping_ = true;
    last_dropped_ = partial_.empty() ? '\0' : partial_.back();
    partial_.clear();
  }
  if (dropping_) {
    const char before = piece.size() > 1 ? piece[piece.size() - 2] : last_dropped_;
    last_dropped_ = piece.back();
    if (end != std::string_view::npos) state_ = before == '\r' ? State::kTooLong : State::kBareLf;
    return used;
  }
  if (end == std::string_view::npos) {
    partial_.append(piece);
    return used;
  }
  if (partial_.empty()) {
    End(piece);
  } else {
    partial_.append(piece);
    End(partial_);
  }
  return used;
}

// `whole` ends with LF.
void LineAssembler::End(std::string_view whole) {
  if (whole.size() < 2 || whole[whole.size() - 2] != '\r') {
    state_ = State::kBareLf;
    return;
  }
  line_ = whole.substr(0, whole.size() - 2);
  state_ = State::kLine;
}

void LineAssembler::Next() {
  state_ = State::kMore;
  dropping_ = false;
  last_dropped_ = 0;
  partial_.clear();
  line_ = {};
}

}  // namespace holdfast::smtp
