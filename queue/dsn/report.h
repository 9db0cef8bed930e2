// queue/dsn/report.h
// The text of a delivery status notification (RFC 3464, multipart/report of RFC 6522; RFC 6533 when
// addresses are international). Facts in, message bytes out, CRLF throughout, no line over 998
// octets, nothing in a header that a remote or a client could have written into a new line.
// Threads: any; pure.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::queue {

enum class NoticeKind {
  kFailed,     // Action: failed
  kDelayed,    // Action: delayed
  kDelivered,  // Action: delivered; the sender asked for it (NOTIFY=SUCCESS)
  kRelayed,    // Action: relayed: handed to a host that does not speak DSN
};

struct ReportRecipient {
  std::string address;   // As in RCPT TO.
  std::string orcpt;     // As received (xtext), or empty.
  uint32_t code = 0;     // The remote's; 0: `text` is ours.
  std::string enhanced;  // "5.1.1"; wrong or empty ones become x.0.0.
  std::string text;
  std::string remote;                              // "mx1.example.net [192.0.2.1]:25", or empty.
  absl::Time last_attempt = absl::InfinitePast();  // InfinitePast: none was made.
  bool expired = false;  // Failed because time ran out; `text` says what was last in the way.
};

struct ReportFacts {
  NoticeKind kind = NoticeKind::kFailed;
  std::string reporting_mta;  // Our host name, or address literal.
  std::string mail_name;      // MAILER-DAEMON@mail_name.
  std::string queue_id;       // Of the original.
  std::string notice_id;  // Queue id of the notice itself: Message-ID and boundary come from it.
  absl::Time now;
  std::string to;  // Original sender, or the postmaster.
  // The notice goes to a postmaster because the original could not be returned (RFC 5321 6.1).
  bool for_postmaster = false;
  std::string original_sender;  // Empty for <>.
  std::string envid;            // As received (xtext), or empty.
  absl::Time arrival;
  absl::Time retry_until = absl::InfinitePast();  // For kDelayed.
  bool smtputf8 = false;                          // Of the original.
  bool utf8_headers = false;
  std::vector<ReportRecipient> recipients;
  // A next hop refused 8-bit or international mail (5.6.3, 5.6.7), and the notice may have to pass
  // the same one: the report is in ASCII, and an original that is not returns its header section
  // only. An international `to` cannot be served so, and has no use for it.
  bool ascii_only = false;
  // The original: all of it, or its header section only.
  std::string_view content;
  bool content_is_full = false;
};

struct Report {
  std::string bytes;
  size_t header_bytes = 0;  // Up to and including the empty line.
  std::string message_id;   // With angle brackets.
  bool has_8bit = false;    // Needs 8BITMIME.
  bool needs_smtputf8 = false;
};

Report BuildReport(const ReportFacts& facts);

// What of the original a notice returns: RET (RFC 3461 4.3), cut to headers when the message is
// larger than `content_bytes_max`. Success and delay notices return headers only, as do notices to
// a postmaster.
bool ReturnsFullContent(bool ret_headers, NoticeKind kind, uint64_t content_bytes,
                        uint64_t content_bytes_max);

inline constexpr uint64_t kReturnedContentBytesMax = 64 * 1024;

// Decodes xtext (RFC 3461 4): false when it is not xtext or decodes to anything unprintable.
bool DecodeXtext(std::string_view text, std::string* out);

}  // namespace holdfast::queue
