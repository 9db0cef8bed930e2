#include "smtp/protocol/reply.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/text.h"

namespace holdfast::smtp {
namespace {

// RFC 5321 4.5.3.1.5: 512 octets with code and CRLF.
constexpr size_t kReplyLineBytesMax = 512;

// The length of the well-formed UTF-8 sequence of two to four bytes at the front; 0 if there is
// none. Beyond well-formedness, C1 controls and the separators that some viewers take for line
// ends are refused, because this decides what may be shown.
size_t ShowableUtf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  size_t length = 0;
  uint32_t value = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
    value = first & 0x1F;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    value = first & 0x0F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    value = first & 0x07;
  }
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    value = (value << 6) | (byte(i) & 0x3F);
  }
  if (length == 3 && (value < 0x800 || (value >= 0xD800 && value <= 0xDFFF))) return 0;
  if (length == 4 && (value < 0x10000 || value > 0x10FFFF)) return 0;
  if (value < 0xA0 || value == 0x2028 || value == 0x2029) return 0;
  return length;
}

// One to `digits_max` digits at `position`; -1 if there are none or more.
int ReadNumber(std::string_view text, size_t& position, size_t digits_max) {
  const size_t begin = position;
  while (position < text.size() && text[position] >= '0' && text[position] <= '9') ++position;
  const size_t digits = position - begin;
  if (digits == 0 || digits > digits_max) return -1;
  int value = 0;
  std::from_chars(text.data() + begin, text.data() + position, value);
  return value;
}

}  // namespace

std::string EnhancedCode::ToString() const {
  return format("{}.{}.{}", class_digit, subject, detail);
}

std::optional<EnhancedCode> ParseEnhancedCode(std::string_view text, size_t* consumed) {
  size_t position = 0;
  EnhancedCode code;
  code.class_digit = ReadNumber(text, position, 1);
  if (code.class_digit != 2 && code.class_digit != 4 && code.class_digit != 5) return std::nullopt;
  for (int* part : {&code.subject, &code.detail}) {
    if (position >= text.size() || text[position] != '.') return std::nullopt;
    ++position;
    *part = ReadNumber(text, position, 3);
    if (*part < 0) return std::nullopt;
  }
  if (position < text.size() && text[position] != ' ') return std::nullopt;
  if (position < text.size()) ++position;
  if (consumed != nullptr) *consumed = position;
  return code;
}

std::string Printable(std::string_view text, size_t bytes_max) {
  std::string shown;
  shown.reserve(std::min(text.size(), bytes_max));
  while (!text.empty()) {
    const char c = text.front();
    size_t length = 1;
    std::string_view piece = text.substr(0, 1);
    if (c < 0x20 || c == 0x7F) {  // Controls, and with signed char everything beyond ASCII.
      length = ShowableUtf8(text);
      piece = length == 0 ? std::string_view("?") : text.substr(0, length);
      length = std::max<size_t>(length, 1);
    }
    if (shown.size() + piece.size() > bytes_max) break;
    shown.append(piece);
    text.remove_prefix(length);
  }
  return shown;
}

Reply::Reply(int code, EnhancedCode enhanced, std::string_view text)
    : code_(code), enhanced_(enhanced), lines_{std::string(text)} {
  HOLDFAST_CHECK(enhanced.class_digit == code / 100)
      << "reply " << code << " can't carry " << enhanced.ToString();
}

Reply Reply::Plain(int code, std::string_view text) {
  Reply reply;
  reply.code_ = code;
  reply.lines_.emplace_back(text);
  return reply;
}

Reply& Reply::AddLine(std::string_view text) {
  lines_.emplace_back(text);
  return *this;
}

void Reply::AppendTo(std::string& out) const {
  for (size_t i = 0; i < lines_.size(); ++i) {
    const size_t begin = out.size();
    fmt::format_to(std::back_inserter(out), "{}{}", code_, i + 1 < lines_.size() ? '-' : ' ');
    if (enhanced_) {
      fmt::format_to(std::back_inserter(out), "{}.{}.{} ", enhanced_->class_digit,
                     enhanced_->subject, enhanced_->detail);
    }
    out += Printable(lines_[i], kReplyLineBytesMax - 2 - (out.size() - begin));
    out += "\r\n";
  }
}

std::string Reply::Format() const {
  std::string out;
  AppendTo(out);
  return out;
}

std::string Reply::ToString() const {
  std::string out = std::to_string(code_);
  if (enhanced_) out += " " + enhanced_->ToString();
  for (size_t i = 0; i < lines_.size(); ++i) {
    out += i == 0 ? " " : " / ";
    out += Printable(lines_[i], kReplyLineBytesMax);
  }
  return out;
}

Reply ReplyForSubmission(const absl::Status& status, std::string_view queue_id) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kAlreadyExists:
      return Reply(250, {2, 0, 0}, format("Ok: queued as {}", queue_id));
    case absl::StatusCode::kUnavailable:
      return Reply(451, {4, 3, 2}, "Service unavailable, message not queued; try again later");
    case absl::StatusCode::kResourceExhausted:
      return Reply(452, {4, 3, 1}, "Insufficient system storage; try again later");
    case absl::StatusCode::kInvalidArgument:
      return Reply(554, {5, 6, 0}, "Message refused");
    case absl::StatusCode::kDeadlineExceeded:
      return Reply(451, {4, 3, 0}, "Timed out while queueing the message; try again later");
    default:
      return Reply(451, {4, 3, 0}, "Local error, message not queued; try again later");
  }
}

}  // namespace holdfast::smtp
