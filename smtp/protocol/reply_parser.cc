#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "smtp/protocol/reply.h"

namespace holdfast::smtp {

std::string ReceivedReply::ToString() const {
  std::string out = std::to_string(code);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].empty()) continue;
    out += i == 0 ? " " : " / ";
    out += lines[i];
  }
  return out;
}

size_t ReplyParser::Feed(std::string_view bytes) {
  size_t used = 0;
  while (state_ == State::kMore && used < bytes.size()) {
    const char c = bytes[used++];
    ++reply_bytes_;
    ++line_bytes_;
    if (reply_bytes_ > limits_.reply_bytes_max) {
      Garbage("the reply is too long");
      break;
    }
    if (c == '\n') {
      EndLine();
      continue;
    }
    if (carriage_return_) {  // It stood inside the line; Printable() will deal with it.
      if (line_.size() < limits_.line_text_bytes_max + 4) line_ += '\r';
      carriage_return_ = false;
    }
    if (c == '\r') {
      carriage_return_ = true;
      continue;
    }
    if (line_.size() < limits_.line_text_bytes_max + 4) line_ += c;
    // A peer that isn't SMTP (or is TLS) needn't send a line end before we know.
    if (line_bytes_ <= 3 && (c < '0' || c > '9')) {
      Garbage("a reply must begin with three digits");
    }
  }
  return used;
}

void ReplyParser::EndLine() {
  carriage_return_ = false;
  line_bytes_ = 0;
  const std::string line = std::exchange(line_, std::string());
  if (line.size() < 3) return Garbage("a reply must begin with three digits");
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  if (code < 200 || code > 599) return Garbage("the reply code is out of range");
  const bool more = line.size() > 3 && line[3] == '-';
  if (line.size() > 3 && !more && line[3] != ' ') {
    return Garbage("the reply code must be followed by a space or a hyphen");
  }
  if (reply_.code != 0 && reply_.code / 100 != code / 100) {
    return Garbage("the lines of the reply have codes of different classes");
  }
  if (reply_.lines.size() >= limits_.lines_max) return Garbage("the reply has too many lines");
  reply_.code = code;
  reply_.lines.push_back(Printable(std::string_view(line).substr(line.size() > 3 ? 4 : 3),
                                   limits_.line_text_bytes_max));
  if (more) return;
  reply_.enhanced = ParseEnhancedCode(reply_.lines.back());
  if (!reply_.enhanced) reply_.enhanced = ParseEnhancedCode(reply_.lines.front());
  if (reply_.enhanced && reply_.enhanced->class_digit != code / 100) reply_.enhanced.reset();
  state_ = State::kReply;
}

void ReplyParser::Garbage(std::string_view reason) {
  state_ = State::kGarbage;
  garbage_reason_ = reason;
  line_.clear();
}

ReceivedReply ReplyParser::Take() {
  HOLDFAST_CHECK(state_ == State::kReply) << "no complete reply to take";
  state_ = State::kMore;
  reply_bytes_ = 0;
  return std::exchange(reply_, ReceivedReply());
}

}  // namespace holdfast::smtp
