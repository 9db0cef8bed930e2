#include "smtp/client/capabilities.h"

#include <charconv>
#include <string_view>

#include "smtp/protocol/address.h"

namespace holdfast::smtp {
namespace {

constexpr size_t kAuthMechanismsMax = 32;

std::string ToUpperAscii(std::string_view text) {
  std::string upper(text);
  for (char& byte : upper) {
    if (byte >= 'a' && byte <= 'z') byte -= 'a' - 'A';
  }
  return upper;
}

std::string_view NextWord(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  const size_t end = std::min(text.find_first_of(" \t"), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void ParseLimits(std::string_view text, Capabilities& capabilities) {
  for (std::string_view word = NextWord(text); !word.empty(); word = NextWord(text)) {
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) continue;
    const std::optional<uint64_t> value = ParseNumber(word.substr(equals + 1));
    if (!value || *value == 0) continue;  // RFC 9422 section 4: at least one.
    const std::string_view name = word.substr(0, equals);
    if (EqualsIgnoreCase(name, "RCPTMAX")) capabilities.recipients_max = value;
    if (EqualsIgnoreCase(name, "MAILMAX")) capabilities.messages_max = value;
  }
}

void ParseLine(std::string_view line, Capabilities& capabilities) {
  std::string_view keyword = NextWord(line);
  // "AUTH=LOGIN" is an old spelling that some servers still add.
  if (keyword.size() > 5 && EqualsIgnoreCase(keyword.substr(0, 5), "AUTH=")) return;
  if (EqualsIgnoreCase(keyword, "STARTTLS")) capabilities.starttls = true;
  if (EqualsIgnoreCase(keyword, "PIPELINING")) capabilities.pipelining = true;
  if (EqualsIgnoreCase(keyword, "8BITMIME")) capabilities.eight_bit_mime = true;
  if (EqualsIgnoreCase(keyword, "SMTPUTF8")) capabilities.smtputf8 = true;
  if (EqualsIgnoreCase(keyword, "DSN")) capabilities.dsn = true;
  if (EqualsIgnoreCase(keyword, "SIZE")) {
    capabilities.size = true;
    const std::string_view word = NextWord(line);
    const std::optional<uint64_t> limit = ParseNumber(word);
    if (limit && *limit > 0) capabilities.size_bytes_max = limit;
  }
  if (EqualsIgnoreCase(keyword, "LIMITS")) ParseLimits(line, capabilities);
  if (EqualsIgnoreCase(keyword, "AUTH")) {
    for (std::string_view word = NextWord(line);
         !word.empty() && capabilities.auth_mechanisms.size() < kAuthMechanismsMax;
         word = NextWord(line)) {
      capabilities.auth_mechanisms.push_back(ToUpperAscii(word));
    }
  }
}

}  // namespace

Capabilities ParseCapabilities(const ReceivedReply& reply) {
  Capabilities capabilities;
  capabilities.esmtp = true;
  // The first line is the remote's name and a greeting (RFC 5321 4.1.1.1).
  for (size_t i = 1; i < reply.lines.size(); ++i) ParseLine(reply.lines[i], capabilities);
  return capabilities;
}

}  // namespace holdfast::smtp
