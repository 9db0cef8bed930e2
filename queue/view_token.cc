#include "queue/view_token.h"

namespace holdfast::queue {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

}  // namespace

std::string TokenFor(std::string_view next_key) {
  std::string token;
  for (unsigned char c : next_key) {
    token.push_back(kHex[c >> 4]);
    token.push_back(kHex[c & 15]);
  }
  return token;
}

std::string TokenAfter(std::string_view last_key) {
  std::string next(last_key);
  next.push_back('\0');
  return TokenFor(next);
}

absl::Status StartAtToken(std::string_view token, KeyRange* range) {
  if (token.empty()) return absl::OkStatus();
  std::string key;
  for (size_t i = 0; i + 1 < token.size(); i += 2) {
    const size_t high = kHex.find(token[i]);
    const size_t low = kHex.find(token[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) break;
    key.push_back(static_cast<char>(high << 4 | low));
  }
  if (key.size() * 2 != token.size() || key < range->from || key >= range->to) {
    return absl::InvalidArgumentError("the page token is not of this list");
  }
  range->from = key;
  return absl::OkStatus();
}

}  // namespace holdfast::queue
