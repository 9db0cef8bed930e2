// smtp/protocol/esmtp_params.h
// The parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET,
// ENVID, NOTIFY, ORCPT (RFC 3461, 6533), AUTH= (RFC 4954). Values that a relay passes on (ENVID,
// ORCPT) are validated here and kept as received, letter by letter. Absent stays absent.
//
// Threads: pure functions and values.
// Limits:  ENVID 100 and ORCPT 500 characters (RFC 3461 4.2, 4.4); the command line bounds the
// rest.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::smtp {

enum class BodyType { k7Bit, k8BitMime };
enum class DsnReturn { kFull, kHeaders };

// NOTIFY=. An absent parameter is std::nullopt around it, not an empty set.
struct NotifySet {
  bool never = false;  // Stands alone.
  bool success = false;
  bool failure = false;
  bool delay = false;

  // "NEVER" or "SUCCESS,FAILURE,DELAY", as it goes to the next hop.
  std::string ToString() const;
  bool operator==(const NotifySet&) const = default;
};

struct MailParameters {
  std::optional<uint64_t> size_bytes;  // UINT64_MAX for a number that would not fit.
  std::optional<BodyType> body;
  bool smtputf8 = false;
  std::optional<DsnReturn> ret;
  std::optional<std::string> envid;  // xtext as received.
  std::optional<std::string> auth;   // xtext as received, or "<>".

  bool operator==(const MailParameters&) const = default;
};

struct RcptParameters {
  std::optional<NotifySet> notify;
  std::optional<std::string> orcpt;  // "rfc822;" and xtext, as received.

  bool operator==(const RcptParameters&) const = default;
};

enum class ParameterError {
  kNone,
  kSyntax,               // 501: the parameter list or a value is malformed, or one stands twice.
  kUnknown,              // 555: a parameter that was not offered.
  kValueNotImplemented,  // 504: a known parameter with a value that we don't do (BINARYMIME).
};

// `text` is what follows '>': empty, or spaces and keyword[=value] words. On an error the contents
// of `out` are unspecified. `name` gets the keyword of ours that failed, "" for foreign words.
struct ParameterResult {
  ParameterError error = ParameterError::kNone;
  std::string_view name;
};
ParameterResult ParseMailParameters(std::string_view text, MailParameters& out);
// `smtputf8` of the transaction decides whether ORCPT may hold UTF-8.
ParameterResult ParseRcptParameters(std::string_view text, bool smtputf8, RcptParameters& out);

// xtext (RFC 3461 4): printable ASCII without '+' and '=', others as +HH.
std::string EncodeXtext(std::string_view text);
// nullopt if it isn't xtext. Any byte may come out: check before printing it.
std::optional<std::string> DecodeXtext(std::string_view xtext);

// An ORCPT value taken apart and decoded, for delivery reports.
struct OriginalRecipient {
  std::string
      address_type;     // As received: "rfc822" or "utf-8" in any letter case, or another atom.
  std::string address;  // Decoded; printable ASCII, or UTF-8 for type utf-8.
};
std::optional<OriginalRecipient> ParseOriginalRecipient(std::string_view value, bool smtputf8);

}  // namespace holdfast::smtp
