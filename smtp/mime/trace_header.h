// smtp/mime/trace_header.h
// The Received field that a relay puts before a message (RFC 5321 4.4, RFC 3848, 6531, 8314), and
// the date format that it needs (RFC 5322 3.3).
// Threads: pure functions.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <string_view>

namespace holdfast::smtp {

struct TraceFacts {
  std::string client_name;     // From EHLO or HELO.
  std::string client_literal;  // "[192.0.2.1]"
  std::string reverse_name;    // Verified reverse DNS; may be empty.
  std::string host;            // Ours.
  std::string protocol;        // `with` value.
  std::string tls_cipher;      // Empty without TLS.
  std::string queue_id;
  std::string only_recipient;  // The mailbox, if the message has exactly one recipient.
  absl::Time received;
};

// Folded, ending in CRLF. Whatever the client chose is cleaned: nothing of it can end the field, a
// comment, or a clause.
std::string ReceivedField(const TraceFacts& facts);

// The `with` value: SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, and with `smtputf8` UTF8SMTP, UTF8SMTPS,
// UTF8SMTPA, UTF8SMTPSA.
struct ProtocolFacts {
  bool esmtp = false;
  bool tls = false;
  bool authenticated = false;
  bool smtputf8 = false;
};
std::string_view TransmissionType(const ProtocolFacts& facts);

// "Fri, 02 Jan 2026 03:04:05 +0000", always in UTC.
std::string Rfc5322Date(absl::Time time);

}  // namespace holdfast::smtp
