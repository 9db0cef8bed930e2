// smtp/protocol/address.h
// Paths and mailboxes as they stand in MAIL and RCPT (RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3). The
// grammar is walked byte by byte, so quoted '>' and '@' can't mislead it, and nothing is repaired:
// what the grammar doesn't allow is refused.
//
// A local part is opaque to a relay. It is kept exactly as received, quotes, escapes and letter
// case included. A domain is kept as received too, and beside it stands `domain_key`, the form in
// which domains are compared and routed: lower case, U-labels as A-labels, literals canonical.
//
// Threads: pure functions and values.
// Limits:  AddressLimits. RFC 5321 4.5.3.1 names minimums; ours are above them where real mail
//          (VERP, SRS) is, while a domain's bound is that of DNS.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::smtp {

struct AddressLimits {
  size_t local_part_bytes_max = 256;
  size_t domain_bytes_max = 255;
  size_t path_bytes_max = 1024;  // The whole of <...>, source route included.
};

enum class DomainKind {
  kNone,     // <> or <Postmaster>
  kName,     // example.org
  kLiteral,  // [192.0.2.1] or [IPv6:2001:db8::1]
};

// One path. The default is the null path <>.
struct Path {
  std::string local_part;  // As received; empty for <> alone.
  std::string domain;      // As received; empty for <> and for <Postmaster>.
  std::string domain_key;  // For comparing and routing; empty where domain is.
  DomainKind domain_kind = DomainKind::kNone;

  bool is_null() const { return local_part.empty() && domain.empty(); }
  // `local@domain` as received, without source route and brackets; "" for the null path and the
  // bare local part for <Postmaster>.
  std::string mailbox() const;
  // Anything beyond ASCII in it, so that it can travel under SMTPUTF8 only.
  bool needs_smtputf8() const;

  bool operator==(const Path&) const = default;
};

enum class PathError {
  kNone,
  kSyntax,
  kTooLong,
  kDomainSyntax,   // Label or literal outside the grammar, trailing dot, no such A-label.
  kNeedsSmtpUtf8,  // Non-ASCII bytes, and SMTPUTF8 wasn't asked for.
  kInvalidUtf8,
};

struct PathRules {
  bool allow_null = false;             // <>, for MAIL.
  bool allow_bare_postmaster = false;  // <Postmaster> in any case, for RCPT.
  bool allow_utf8 = false;             // The transaction asked for SMTPUTF8.
  AddressLimits limits;
};

struct PathResult {
  std::optional<Path> path;  // Empty exactly if error is not kNone.
  PathError error = PathError::kNone;
  size_t consumed = 0;  // Bytes of the text up to and including '>'.
};

// Parses the path at the front of `text`, which begins with '<'. What follows '>' is the caller's.
PathResult ParsePath(std::string_view text, const PathRules& rules);

// Parses `local@domain` without brackets, the whole of `text`. For configuration and tools.
PathResult ParseMailbox(std::string_view text, const PathRules& rules);

// The routing key of a domain or address literal, or nullopt if it is outside the grammar. U-labels
// are always understood here; whether they were allowed is ParsePath's concern.
std::optional<std::string> DomainKey(std::string_view domain);

// Whether `local_part`, as received, means postmaster: in any letter case, quoted or not.
bool IsPostmaster(std::string_view local_part);

// What a quoted local part says without its quotes and backslashes; a dot-string as it is. Only for
// looking at what an address means, never for passing it on.
std::string UnquoteLocalPart(std::string_view local_part);

// The path as ASCII for a next hop without SMTPUTF8: the domain in A-labels. nullopt when the local
// part is beyond ASCII, for which no such form exists.
std::optional<std::string> AsciiMailbox(const Path& path);

// Well-formed UTF-8 without surrogates and overlong forms.
bool IsValidUtf8(std::string_view text);
bool IsAscii(std::string_view text);
// ASCII letters only; bytes beyond ASCII stay.
std::string ToLowerAscii(std::string_view text);
bool EqualsIgnoreCase(std::string_view left, std::string_view right);

}  // namespace holdfast::smtp
