#include "smtp/protocol/esmtp_params.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "smtp/protocol/address.h"

namespace holdfast::smtp {
namespace {

constexpr size_t kEnvidBytesMax = 100;
constexpr size_t kOrcptBytesMax = 500;
constexpr size_t kSizeDigitsMax = 20;

constexpr ParameterResult kFine = {};

bool IsPrintableAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7E; });
}

// One `keyword[=value]` of the list (RFC 5321 4.1.2, esmtp-param).
struct Word {
  std::string_view keyword;
  std::optional<std::string_view> value;
};

// Takes the next word off the front of `text`, which may not be empty after the spaces.
bool TakeWord(std::string_view& text, Word& word) {
  const size_t end = std::min(text.find(' '), text.size());
  const std::string_view whole = text.substr(0, end);
  text.remove_prefix(end);
  const size_t equals = whole.find('=');
  word.keyword = whole.substr(0, equals);
  word.value.reset();
  if (equals != std::string_view::npos) word.value = whole.substr(equals + 1);
  const auto is_keyword_text = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (word.keyword.empty() || word.keyword.front() == '-' ||
      !std::all_of(word.keyword.begin(), word.keyword.end(), is_keyword_text)) {
    return false;
  }
  if (word.value) {
    const auto is_value_text = [](char c) {  // RFC 5321 4.1.2, and UTF-8 by RFC 6531 3.3.
      return static_cast<unsigned char>(c) >= 0x80 || (c > 0x20 && c < 0x7F);
    };
    if (word.value->empty() ||
        !std::all_of(word.value->begin(), word.value->end(), is_value_text)) {
      return false;
    }
  }
  return true;
}

// Calls `read` for each word until one fails.
template <typename Read>
ParameterResult ForEachWord(std::string_view text, Read read) {
  if (!text.empty() && text.front() != ' ') return {ParameterError::kSyntax, ""};
  for (;;) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    if (text.empty()) return kFine;
    Word word;
    if (!TakeWord(text, word)) return {ParameterError::kSyntax, ""};
    const ParameterResult result = read(word);
    if (result.error != ParameterError::kNone) return result;
  }
}

ParameterResult Check(bool good, std::string_view name) {
  return good ? kFine : ParameterResult{ParameterError::kSyntax, name};
}

// RFC 1870 3: up to 20 digits. 20 of them may pass what 64 bits hold; that is just very large.
std::optional<uint64_t> ParseSize(std::string_view value) {
  if (value.empty() || value.size() > kSizeDigitsMax) return std::nullopt;
  uint64_t size = 0;
  const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), size);
  if (stop != value.data() + value.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::numeric_limits<uint64_t>::max();
  if (error != std::errc()) return std::nullopt;
  return size;
}

ParameterResult ReadBody(const Word& word, MailParameters& out) {
  if (!word.value || out.body) return {ParameterError::kSyntax, "BODY"};
  if (EqualsIgnoreCase(*word.value, "7BIT")) {
    out.body = BodyType::k7Bit;
  } else if (EqualsIgnoreCase(*word.value, "8BITMIME")) {
    out.body = BodyType::k8BitMime;
  } else {
    return {ParameterError::kValueNotImplemented, "BODY"};
  }
  return kFine;
}

ParameterResult ReadRet(const Word& word, MailParameters& out) {
  if (!word.value || out.ret) return {ParameterError::kSyntax, "RET"};
  if (EqualsIgnoreCase(*word.value, "FULL")) {
    out.ret = DsnReturn::kFull;
  } else if (EqualsIgnoreCase(*word.value, "HDRS")) {
    out.ret = DsnReturn::kHeaders;
  } else {
    return {ParameterError::kSyntax, "RET"};
  }
  return kFine;
}

// xtext that is at most `bytes_max` long and, decoded, nothing but printable ASCII.
bool IsPrintableXtext(std::string_view value, size_t bytes_max) {
  if (value.size() > bytes_max) return false;
  const std::optional<std::string> decoded = DecodeXtext(value);
  return decoded && IsPrintableAscii(*decoded);
}

ParameterResult ReadMailWord(const Word& word, MailParameters& out) {
  if (EqualsIgnoreCase(word.keyword, "SIZE")) {
    if (!word.value || out.size_bytes) return {ParameterError::kSyntax, "SIZE"};
    out.size_bytes = ParseSize(*word.value);
    return Check(out.size_bytes.has_value(), "SIZE");
  }
  if (EqualsIgnoreCase(word.keyword, "BODY")) return ReadBody(word, out);
  if (EqualsIgnoreCase(word.keyword, "SMTPUTF8")) {
    if (word.value || out.smtputf8) return {ParameterError::kSyntax, "SMTPUTF8"};
    out.smtputf8 = true;
    return kFine;
  }
  if (EqualsIgnoreCase(word.keyword, "RET")) return ReadRet(word, out);
  if (EqualsIgnoreCase(word.keyword, "ENVID")) {
    if (!word.value || out.envid) return {ParameterError::kSyntax, "ENVID"};
    out.envid = std::string(*word.value);
    return Check(IsPrintableXtext(*out.envid, kEnvidBytesMax), "ENVID");
  }
  if (EqualsIgnoreCase(word.keyword, "AUTH")) {
    if (!word.value || out.auth) return {ParameterError::kSyntax, "AUTH"};
    out.auth = std::string(*word.value);
    return Check(*out.auth == "<>" || IsPrintableXtext(*out.auth, kOrcptBytesMax), "AUTH");
  }
  return {ParameterError::kUnknown, ""};
}

std::optional<NotifySet> ParseNotify(std::string_view value) {
  NotifySet set;
  if (EqualsIgnoreCase(value, "NEVER")) {
    set.never = true;
    return set;
  }
  for (;;) {
    const size_t comma = value.find(',');
    const std::string_view word = value.substr(0, comma);
    bool* flag = nullptr;
    if (EqualsIgnoreCase(word, "SUCCESS")) flag = &set.success;
    if (EqualsIgnoreCase(word, "FAILURE")) flag = &set.failure;
    if (EqualsIgnoreCase(word, "DELAY")) flag = &set.delay;
    if (flag == nullptr || *flag) return std::nullopt;
    *flag = true;
    if (comma == std::string_view::npos) return set;
    value.remove_prefix(comma + 1);
  }
}

int HexDigit(char c) {  // RFC 3461 4: capitals only.
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string NotifySet::ToString() const {
  if (never) return "NEVER";
  std::string text;
  const auto add = [&](bool flag, std::string_view word) {
    if (!flag) return;
    if (!text.empty()) text += ',';
    text += word;
  };
  add(success, "SUCCESS");
  add(failure, "FAILURE");
  add(delay, "DELAY");
  return text;
}

ParameterResult ParseMailParameters(std::string_view text, MailParameters& out) {
  out = MailParameters();
  return ForEachWord(text, [&](const Word& word) { return ReadMailWord(word, out); });
}

ParameterResult ParseRcptParameters(std::string_view text, bool smtputf8, RcptParameters& out) {
  out = RcptParameters();
  return ForEachWord(text, [&](const Word& word) -> ParameterResult {
    if (EqualsIgnoreCase(word.keyword, "NOTIFY")) {
      if (!word.value || out.notify) return {ParameterError::kSyntax, "NOTIFY"};
      out.notify = ParseNotify(*word.value);
      return Check(out.notify.has_value(), "NOTIFY");
    }
    if (EqualsIgnoreCase(word.keyword, "ORCPT")) {
      if (!word.value || out.orcpt) return {ParameterError::kSyntax, "ORCPT"};
      out.orcpt = std::string(*word.value);
      return Check(ParseOriginalRecipient(*out.orcpt, smtputf8).has_value(), "ORCPT");
    }
    return {ParameterError::kUnknown, ""};
  });
}

std::string EncodeXtext(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string xtext;
  for (char c : text) {
    if (c > 0x20 && c < 0x7F && c != '+' && c != '=') {
      xtext += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      xtext += '+';
      xtext += kHex[byte >> 4];
      xtext += kHex[byte & 15];
    }
  }
  return xtext;
}

std::optional<std::string> DecodeXtext(std::string_view xtext) {
  std::string text;
  for (size_t i = 0; i < xtext.size(); ++i) {
    const char c = xtext[i];
    if (c == '+') {
      if (i + 2 >= xtext.size()) return std::nullopt;
      const int high = HexDigit(xtext[i + 1]);
      const int low = HexDigit(xtext[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      text += static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c > 0x20 && c < 0x7F && c != '=') {
      text += c;
    } else {
      return std::nullopt;
    }
  }
  return text;
}

// RFC 3461 4.2; RFC 6533 3 for the type utf-8, whose address may hold UTF-8 as it is when the
// transaction has SMTPUTF8, and \x{HEX} otherwise. Those escapes are left for the reader.
std::optional<OriginalRecipient> ParseOriginalRecipient(std::string_view value, bool smtputf8) {
  if (value.size() > kOrcptBytesMax) return std::nullopt;
  const size_t semicolon = value.find(';');
  if (semicolon == std::string_view::npos || semicolon == 0) return std::nullopt;
  OriginalRecipient recipient;
  recipient.address_type = std::string(value.substr(0, semicolon));
  const auto is_type_text = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (!std::all_of(recipient.address_type.begin(), recipient.address_type.end(), is_type_text)) {
    return std::nullopt;
  }
  const std::string_view address = value.substr(semicolon + 1);
  if (address.empty()) return std::nullopt;
  if (!IsAscii(address)) {
    if (!smtputf8 || !EqualsIgnoreCase(recipient.address_type, "utf-8")) return std::nullopt;
    if (!IsValidUtf8(address)) return std::nullopt;
    recipient.address = std::string(address);
    return recipient;
  }
  std::optional<std::string> decoded = DecodeXtext(address);
  if (!decoded || !IsPrintableAscii(*decoded)) return std::nullopt;
  recipient.address = *std::move(decoded);
  return recipient;
}

}  // namespace holdfast::smtp
