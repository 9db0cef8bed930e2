#include "smtp/protocol/address.h"

#include <arpa/inet.h>
#include <idn2.h>

#include <algorithm>
#include <cstdint>

namespace holdfast::smtp {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsEightBit(char c) { return static_cast<unsigned char>(c) >= 0x80; }
char LowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// RFC 5322 3.2.3, and any byte of UTF-8 (RFC 6531 3.3), which is validated as a whole.
bool IsAtomText(char c) {
  return IsLetter(c) || IsDigit(c) || IsEightBit(c) ||
         (c != '\0' && std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos);
}

// The length of the well-formed UTF-8 sequence at the front; 0 if there is none.
size_t Utf8SequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](size_t i, int low = 0x80, int high = 0xBF) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned char first = byte(0);  // The table of RFC 3629 4.
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first == 0xE0) return follows(1, 0xA0) && follows(2) ? 3 : 0;
  if (first == 0xED) return follows(1, 0x80, 0x9F) && follows(2) ? 3 : 0;
  if (first >= 0xE1 && first <= 0xEF) return follows(1) && follows(2) ? 3 : 0;
  if (first == 0xF0) return follows(1, 0x90) && follows(2) && follows(3) ? 4 : 0;
  if (first == 0xF4) return follows(1, 0x80, 0x8F) && follows(2) && follows(3) ? 4 : 0;
  if (first >= 0xF1 && first <= 0xF3) return follows(1) && follows(2) && follows(3) ? 4 : 0;
  return 0;
}

// "[192.0.2.1]" or "[IPv6:2001:db8::1]" in the form of the key. General-address-literals of RFC
// 5321 4.1.3 have no registered tag but IPv6, so there is nothing else to route to.
std::optional<std::string> LiteralKey(std::string_view literal) {
  if (literal.size() < 3 || literal.front() != '[' || literal.back() != ']') return std::nullopt;
  const std::string inner(literal.substr(1, literal.size() - 2));
  constexpr std::string_view kTag = "IPv6:";
  char text[INET6_ADDRSTRLEN];
  unsigned char octets[16];
  if (inner.size() > kTag.size() && EqualsIgnoreCase(inner.substr(0, kTag.size()), kTag)) {
    const std::string address = inner.substr(kTag.size());
    if (address.find('\0') != std::string::npos) return std::nullopt;
    if (inet_pton(AF_INET6, address.c_str(), octets) != 1) return std::nullopt;
    if (inet_ntop(AF_INET6, octets, text, sizeof(text)) == nullptr) return std::nullopt;
    return "[IPv6:" + std::string(text) + "]";
  }
  if (inner.find('\0') != std::string::npos) return std::nullopt;
  if (inet_pton(AF_INET, inner.c_str(), octets) != 1) return std::nullopt;
  if (inet_ntop(AF_INET, octets, text, sizeof(text)) == nullptr) return std::nullopt;
  return "[" + std::string(text) + "]";
}

// Lower-case letters, digits, hyphens and (common in practice) underscores; no empty label.
bool IsAsciiName(std::string_view name) {
  if (name.empty() || name.size() > 255) return false;
  size_t label = 0;
  for (size_t i = 0; i <= name.size(); ++i) {
    if (i < name.size() && name[i] != '.') {
      if (!IsLetter(name[i]) && !IsDigit(name[i]) && name[i] != '-' && name[i] != '_') return false;
      if (label == 0 && name[i] == '-') return false;
      ++label;
      continue;
    }
    if (label == 0 || label > 63 || name[i - 1] == '-') return false;
    label = 0;
  }
  return true;
}

std::optional<std::string> NameKey(std::string_view name) {
  if (IsAscii(name)) {
    if (!IsAsciiName(name)) return std::nullopt;
    return ToLowerAscii(name);
  }
  if (!IsValidUtf8(name)) return std::nullopt;
  if (name.find('\0') != std::string_view::npos || name.size() > 255 * 4) return std::nullopt;
  const std::string text(name);
  uint8_t* looked_up = nullptr;
  // Not IDN2_USE_STD3_ASCII_RULES: it drops characters that it dislikes, and another domain would
  // come out. IsAsciiName() below refuses them instead.
  const int result = idn2_lookup_u8(reinterpret_cast<const uint8_t*>(text.c_str()), &looked_up,
                                    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (result != IDN2_OK) return std::nullopt;
  std::string key = ToLowerAscii(reinterpret_cast<const char*>(looked_up));
  idn2_free(looked_up);
  if (!IsAsciiName(key)) return std::nullopt;
  return key;
}

// Walks the grammar of RFC 5321 4.1.2. Every Read...() moves behind what it read, or returns false.
class PathParser {
 public:
  PathParser(std::string_view text, const PathRules& rules) : text_(text), rules_(rules) {}

  PathResult ParseBracketed() {
    if (!Skip('<')) return Failed(PathError::kSyntax);
    if (Skip('>')) {
      if (!rules_.allow_null) return Failed(PathError::kSyntax);
      return Succeeded();
    }
    if (Peek() == '@' && !ReadSourceRoute()) return Failed(error_);
    if (!ReadMailbox(/*bracketed=*/true)) return Failed(error_);
    if (!Skip('>')) return Failed(PathError::kSyntax);
    if (at_ > rules_.limits.path_bytes_max) return Failed(PathError::kTooLong);
    return Succeeded();
  }

  PathResult ParseBare() {
    if (!ReadMailbox(/*bracketed=*/false)) return Failed(error_);
    if (at_ != text_.size()) return Failed(PathError::kSyntax);
    return Succeeded();
  }

 private:
  PathResult Succeeded() { return {std::move(path_), PathError::kNone, at_}; }
  PathResult Failed(PathError error) {
    PathResult result;
    result.error = error;
    return result;
  }
  bool Wrong(PathError error) {
    error_ = error;
    return false;
  }

  char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool Skip(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // A-d-l ":", read and forgotten (RFC 5321 appendix C).
  bool ReadSourceRoute() {
    do {
      if (!Skip('@')) return Wrong(PathError::kSyntax);
      std::string domain, key;
      DomainKind kind;
      if (!ReadDomain(domain, key, kind)) return false;
    } while (Skip(','));
    return Skip(':') ? true : Wrong(PathError::kSyntax);
  }

  bool ReadMailbox(bool bracketed) {
    const size_t begin = at_;
    if (Peek() == '"' ? !ReadQuotedString() : !ReadDotString()) return Wrong(PathError::kSyntax);
    path_.local_part = std::string(text_.substr(begin, at_ - begin));
    if (!CheckCharacters(path_.local_part)) return false;
    if (path_.local_part.size() > rules_.limits.local_part_bytes_max) {
      return Wrong(PathError::kTooLong);
    }
    if (bracketed && Peek() == '>' && rules_.allow_bare_postmaster &&
        EqualsIgnoreCase(path_.local_part, "postmaster")) {
      return true;
    }
    if (!Skip('@')) return Wrong(PathError::kSyntax);
    return ReadDomain(path_.domain, path_.domain_key, path_.domain_kind);
  }

  bool ReadDotString() {
    bool atom = false;
    for (; at_ < text_.size(); ++at_) {
      if (IsAtomText(text_[at_])) {
        atom = true;
      } else if (text_[at_] == '.' && atom) {
        atom = false;
      } else {
        break;
      }
    }
    return atom;
  }

  bool ReadQuotedString() {
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return true;
      if (c == '\\') {
        if (at_ >= text_.size() || text_[at_] < 0x20 || text_[at_] > 0x7E) return false;
        ++at_;
      } else if (!IsEightBit(c) && (c < 0x20 || c > 0x7E)) {
        return false;
      }
    }
    return false;
  }

  bool ReadDomain(std::string& domain, std::string& key, DomainKind& kind) {
    const size_t begin = at_;
    if (Peek() == '[') {
      const size_t end = text_.find(']', at_);
      if (end == std::string_view::npos) return Wrong(PathError::kSyntax);
      at_ = end + 1;
      kind = DomainKind::kLiteral;
    } else {
      while (at_ < text_.size() &&
             std::string_view(">,:@<\" \t").find(text_[at_]) == std::string_view::npos) {
        ++at_;
      }
      kind = DomainKind::kName;
    }
    domain = std::string(text_.substr(begin, at_ - begin));
    if (domain.empty()) return Wrong(PathError::kSyntax);
    if (!CheckCharacters(domain)) return false;
    std::optional<std::string> found = DomainKey(domain);
    if (!found) return Wrong(PathError::kDomainSyntax);
    if (domain.size() > rules_.limits.domain_bytes_max) return Wrong(PathError::kTooLong);
    key = *std::move(found);
    return true;
  }

  bool CheckCharacters(std::string_view part) {
    if (IsAscii(part)) return true;
    if (!IsValidUtf8(part)) return Wrong(PathError::kInvalidUtf8);
    return rules_.allow_utf8 ? true : Wrong(PathError::kNeedsSmtpUtf8);
  }

  const std::string_view text_;
  const PathRules& rules_;
  size_t at_ = 0;
  Path path_;
  PathError error_ = PathError::kSyntax;
};

}  // namespace

std::string Path::mailbox() const {
  if (domain.empty()) return local_part;
  return local_part + "@" + domain;
}

bool Path::needs_smtputf8() const { return !IsAscii(local_part) || !IsAscii(domain); }

PathResult ParsePath(std::string_view text, const PathRules& rules) {
  return PathParser(text, rules).ParseBracketed();
}

PathResult ParseMailbox(std::string_view text, const PathRules& rules) {
  return PathParser(text, rules).ParseBare();
}

std::optional<std::string> DomainKey(std::string_view domain) {
  if (!domain.empty() && domain.front() == '[') return LiteralKey(domain);
  return NameKey(domain);
}

std::string UnquoteLocalPart(std::string_view local_part) {
  if (local_part.size() < 2 || local_part.front() != '"' || local_part.back() != '"') {
    return std::string(local_part);
  }
  std::string plain;
  const std::string_view inner = local_part.substr(1, local_part.size() - 2);
  for (size_t i = 0; i < inner.size(); ++i) {
    if (inner[i] == '\\' && i + 1 < inner.size()) ++i;
    plain += inner[i];
  }
  return plain;
}

bool IsPostmaster(std::string_view local_part) {
  return EqualsIgnoreCase(UnquoteLocalPart(local_part), "postmaster");
}

std::optional<std::string> AsciiMailbox(const Path& path) {
  if (!IsAscii(path.local_part)) return std::nullopt;
  if (path.domain.empty()) return path.local_part;
  return path.local_part + "@" + (IsAscii(path.domain) ? path.domain : path.domain_key);
}

bool IsValidUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8SequenceLength(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool IsAscii(std::string_view text) { return std::none_of(text.begin(), text.end(), IsEightBit); }

std::string ToLowerAscii(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), LowerAscii);
  return lower;
}

bool EqualsIgnoreCase(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char a, char b) { return LowerAscii(a) == LowerAscii(b); });
}

}  // namespace holdfast::smtp
