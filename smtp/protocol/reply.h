// smtp/protocol/reply.h
// SMTP replies in both directions (RFC 5321 4.2, RFC 2034, RFC 3463). Reply is what a server says;
// ReplyParser reads what a remote server said, and trusts none of it.
//
// Threads: values and pure functions; a parser belongs to one conversation.
#pragma once

#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::smtp {

// X.Y.Z of RFC 3463.
struct EnhancedCode {
  int class_digit = 0;
  int subject = 0;
  int detail = 0;

  std::string ToString() const;
  bool operator==(const EnhancedCode&) const = default;
};

// Reads "5.7.1" at the front of `text`: class 2, 4 or 5, and at most three digits each for the
// others, ended by a space or the end. `consumed` counts the code and one space behind it.
std::optional<EnhancedCode> ParseEnhancedCode(std::string_view text, size_t* consumed = nullptr);

// Replaces control bytes and anything that is neither printable ASCII nor valid UTF-8 by '?', and
// cuts at `bytes_max`. For every foreign string that reaches a log line, a header or a reply.
std::string Printable(std::string_view text, size_t bytes_max);

// One reply of ours. Every reply with class 2, 4 or 5 carries an enhanced code, except the greeting
// and the answers to EHLO and HELO, which are made with Reply::Plain.
// Limits: a line longer than 512 octets with CRLF is cut when it is formatted.
class Reply {
 public:
  Reply() = default;
  // CHECK: the class of `enhanced` is the first digit of `code`.
  Reply(int code, EnhancedCode enhanced, std::string_view text);
  static Reply Plain(int code, std::string_view text);

  // Appends a line; all lines have the same codes.
  Reply& AddLine(std::string_view text);

  int code() const { return code_; }
  const std::optional<EnhancedCode>& enhanced() const { return enhanced_; }
  const std::vector<std::string>& lines() const { return lines_; }
  bool positive() const { return code_ >= 200 && code_ < 400; }
  bool temporary() const { return code_ >= 400 && code_ < 500; }
  bool permanent() const { return code_ >= 500; }

  // The octets to send, CRLF after each line. The text passes Printable(), so a reply can't carry a
  // client's control bytes whoever built it.
  std::string Format() const;
  void AppendTo(std::string& out) const;
  // All in one line without CRLF, for logs: "550 5.1.1 No such user here".
  std::string ToString() const;

  bool operator==(const Reply&) const = default;

 private:
  int code_ = 0;
  std::optional<EnhancedCode> enhanced_;
  std::vector<std::string> lines_;
};

// The one table from what became of a submission to what the client hears.
//   OK                 250 2.0.0 Ok: queued as ID      kAlreadyExists     the same: it is queued
//   kUnavailable       451 4.3.2, nothing happened     kResourceExhausted 452 4.3.1
//   kAborted, kFailedPrecondition, kCancelled          451 4.3.0, not queued
//   kDeadlineExceeded  451 4.3.0: the outcome is unknown, and the client's repeat is recognised
//   kInvalidArgument   554 5.6.0                       others             451 4.3.0
// `queue_id` may be empty where the table doesn't use it. Status messages aren't shown to clients.
Reply ReplyForSubmission(const absl::Status& status, std::string_view queue_id);

// A remote's reply, cleaned by Printable().
struct ReceivedReply {
  int code = 0;
  // From the line that decided, if it carried one whose class fits the code.
  std::optional<EnhancedCode> enhanced;
  // Without code, separator and CRLF; the enhanced code is still in front.
  std::vector<std::string> lines;

  // The first digit decides; the others only inform (RFC 5321 4.3.2).
  bool positive() const { return code >= 200 && code < 300; }
  bool intermediate() const { return code >= 300 && code < 400; }
  bool temporary() const { return code >= 400 && code < 500; }
  bool permanent() const { return code >= 500; }
  // "550 5.1.1 no such user / try elsewhere", for logs and Diagnostic-Code.
  std::string ToString() const;

  bool operator==(const ReceivedReply&) const = default;
};

struct ReplyParserLimits {
  // More of a line's text is read and dropped, for a long line is no reason to refuse a reply.
  size_t line_text_bytes_max = 1024;
  size_t lines_max = 256;
  // Lines of one reply together, with what was dropped; beyond it, the reply is garbage.
  size_t reply_bytes_max = 64 * 1024;
};

// Reads replies from any segmentation of the stream. Accepts a bare LF as line end, a missing text
// and more than 512 octets; lines of one reply may differ in code if the first digit agrees, and
// then the last one counts. Anything else is garbage, from which there is no way back: the caller
// treats it as a temporary failure and drops the connection.
// Limits: ReplyParserLimits. An endless reply ends as garbage.
class ReplyParser {
 public:
  enum class State { kMore, kReply, kGarbage };

  explicit ReplyParser(const ReplyParserLimits& limits = {}) : limits_(limits) {}

  // Reads until a reply is complete or `bytes` ends; returns how many bytes were used. The rest
  // belongs to the next reply. Uses nothing while a complete reply waits in Take(), or after
  // garbage.
  size_t Feed(std::string_view bytes);

  State state() const { return state_; }
  // Why it is garbage; "" otherwise.
  std::string_view garbage_reason() const { return garbage_reason_; }
  // Some bytes of an unfinished reply were read.
  bool in_reply() const { return state_ == State::kMore && reply_bytes_ > 0; }

  // The complete reply (CHECK: state() is kReply); the parser begins anew.
  ReceivedReply Take();

 private:
  void EndLine();
  void Garbage(std::string_view reason);

  const ReplyParserLimits limits_;
  State state_ = State::kMore;
  std::string_view garbage_reason_;
  std::string line_;
  size_t line_bytes_ = 0;  // Of the line being read, with what was dropped.
  size_t reply_bytes_ = 0;
  bool carriage_return_ = false;  // The last byte was CR: an LF next ends the line.
  ReceivedReply reply_;
};

}  // namespace holdfast::smtp
