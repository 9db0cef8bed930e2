#include "smtp/client/answer.h"

namespace holdfast::smtp {
namespace {

constexpr size_t kTextBytesMax = 400;

}  // namespace

Answer RemoteAnswer(const ReceivedReply& reply) {
  const int class_digit = reply.code / 100;
  return {.code = reply.code,
          .enhanced = reply.enhanced.value_or(EnhancedCode{class_digit, 0, 0}),
          .lines = reply.lines,
          .from_remote = true};
}

Answer OwnAnswer(int code, EnhancedCode enhanced, std::string_view text) {
  return {.code = code,
          .enhanced = enhanced,
          .lines = {Printable(text, kTextBytesMax)},
          .from_remote = false};
}

}  // namespace holdfast::smtp
