// Replies of remote servers. However cut, the replies are the same; nothing unprintable comes out.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "smtp/protocol/reply.h"

namespace holdfast::smtp {
namespace {

std::string Read(std::string_view bytes, size_t piece) {
  ReplyParserLimits limits;
  limits.line_text_bytes_max = 50;
  limits.lines_max = 5;
  limits.reply_bytes_max = 200;
  ReplyParser parser(limits);
  std::string seen;
  while (!bytes.empty() && parser.state() != ReplyParser::State::kGarbage) {
    bytes.remove_prefix(parser.Feed(bytes.substr(0, piece)));
    if (parser.state() != ReplyParser::State::kReply) continue;
    const ReceivedReply reply = parser.Take();
    HOLDFAST_CHECK(reply.code >= 200 && reply.code <= 599 && reply.lines.size() <= 5);
    for (const std::string& line : reply.lines) {
      HOLDFAST_CHECK(line.size() <= 50 && Printable(line, 50) == line);
    }
    if (reply.enhanced) HOLDFAST_CHECK(reply.enhanced->class_digit == reply.code / 100);
    seen += reply.ToString() + '\n';
  }
  return seen + std::string(parser.garbage_reason());
}

}  // namespace
}  // namespace holdfast::smtp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = holdfast::smtp::Read(bytes, size);
  HOLDFAST_CHECK(holdfast::smtp::Read(bytes, 1) == whole);
  const std::string shown = holdfast::smtp::Printable(bytes, 100);
  HOLDFAST_CHECK(shown.size() <= 100 && holdfast::smtp::Printable(shown, 100) == shown);
  return 0;
}
