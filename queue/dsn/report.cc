#include "queue/dsn/report.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "queue/dsn/explain.h"
#include "queue/dsn/text_lines.h"

namespace holdfast::queue {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

std::string DateText(absl::Time time) {
  return absl::FormatTime("%a, %d %b %Y %H:%M:%S +0000", time, absl::UTCTimeZone());
}

std::string WaitText(absl::Duration wait) {
  const auto plural = [](int64_t n, std::string_view unit) {
    return format("{} {}{}", n, unit, n == 1 ? "" : "s");
  };
  if (wait >= kDay * 2) return plural(wait / kDay, "day");
  if (wait >= absl::Hours(2)) return plural(absl::ToInt64Hours(wait), "hour");
  return plural(std::max<int64_t>(absl::ToInt64Minutes(wait), 1), "minute");
}

std::string_view DomainOf(std::string_view address) {
  const size_t at = address.rfind('@');
  return at == std::string_view::npos ? address : address.substr(at + 1);
}

// "mx1.example.net" of "mx1.example.net [192.0.2.1]:25".
std::string_view HostOf(std::string_view remote) { return remote.substr(0, remote.find(' ')); }

std::string_view ActionOf(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::kFailed:
      return "failed";
    case NoticeKind::kDelayed:
      return "delayed";
    case NoticeKind::kDelivered:
      return "delivered";
    case NoticeKind::kRelayed:
      return "relayed";
  }
  return "failed";
}

std::string_view SubjectOf(const ReportFacts& facts) {
  switch (facts.kind) {
    case NoticeKind::kFailed:
      return facts.for_postmaster ? "Postmaster copy: undeliverable notice"
                                  : "Undelivered mail: returned to sender";
    case NoticeKind::kDelayed:
      return "Delayed mail: still being tried";
    case NoticeKind::kDelivered:
      return "Mail was delivered";
    case NoticeKind::kRelayed:
      return "Mail was passed on";
  }
  return "Delivery status";
}

std::string StatusOf(const ReportFacts& facts, const ReportRecipient& recipient) {
  const std::string status =
      CleanEnhanced(recipient.enhanced, recipient.code, facts.kind == NoticeKind::kFailed);
  switch (facts.kind) {
    case NoticeKind::kFailed:
      if (recipient.expired) return "4.4.7";
      return status[0] == '2' ? "5.0.0" : status;
    case NoticeKind::kDelayed:
      return status[0] == '4' ? status : "4.0.0";
    case NoticeKind::kDelivered:
    case NoticeKind::kRelayed:
      return status[0] == '2' ? status : "2.0.0";
  }
  return status;
}

class Builder {
 public:
  explicit Builder(const ReportFacts& facts) : facts_(facts) {
    ascii_only_ = facts.ascii_only && IsAscii(facts.to);
    utf8_ = facts.smtputf8 && !(IsAscii(facts.to) && IsAscii(facts.original_sender));
    for (const ReportRecipient& recipient : facts.recipients) {
      utf8_ = utf8_ || (facts.smtputf8 && !IsAscii(recipient.address));
    }
    utf8_ = utf8_ && !ascii_only_;
    PrepareContent();
    ChooseBoundary();
  }

  Report Build() {
    Headers();
    report_.header_bytes = report_.bytes.size();
    Put("This is a report in several parts, as RFC 3464 describes them.\r\n");
    HumanPart();
    StatusPart();
    ContentPart();
    Put(format("--{}--\r\n", boundary_));
    report_.has_8bit = !IsAscii(report_.bytes);
    return std::move(report_);
  }

 private:
  void Put(std::string_view text) { report_.bytes.append(text); }
  void Field(std::string_view name, std::string_view value) {
    AppendField(name, value, report_.bytes);
  }
  std::string Clean(std::string_view text) const { return CleanText(text, utf8_); }
  std::string Address(std::string_view text) const {
    return utf8_ || IsAscii(text) ? Clean(text) : Utf8AddressInAscii(CleanText(text, true));
  }

  void PrepareContent() {
    // A message part may not be re-encoded (RFC 2046 5.2.1), so a body with overlong lines stays
    // behind; header lines can be folded.
    const ContentShape shape = ShapeOf(facts_.content);
    full_ = facts_.content_is_full && facts_.content.size() <= kReturnedContentBytesMax &&
            !shape.has_long_lines && !(ascii_only_ && shape.has_8bit);
    const std::string_view part =
        full_ ? facts_.content : HeaderSection(facts_.content, kReturnedContentBytesMax);
    AppendContent(part, !full_, content_);
    const std::string_view headers = HeaderSection(content_, content_.size());
    utf8_content_ = facts_.utf8_headers && !IsAscii(headers);
    if (!ascii_only_ || IsAscii(content_)) return;
    std::string encoded;
    AppendQuotedPrintable(content_, encoded);
    content_ = std::move(encoded);
    quoted_content_ = true;
  }

  void ChooseBoundary() {
    // Original mail may hold anything, even what looks like our boundary.
    for (int i = 0;; ++i) {
      boundary_ = format("=_{}.{}", Clean(facts_.notice_id), i);
      if (content_.find(boundary_) == std::string::npos) return;
    }
  }

  void Headers() {
    const std::string mail_name = CleanText(facts_.mail_name, false);
    report_.message_id = format("<{}@{}>", CleanText(facts_.notice_id, false), mail_name);
    const std::string to = Clean(facts_.to);
    report_.needs_smtputf8 = !IsAscii(to);
    Field("Date", DateText(facts_.now));
    Field("From", format("Mail Delivery System <MAILER-DAEMON@{}>", mail_name));
    Field("To", to.size() + 6 > kLineBytesMax ? "undisclosed-recipients:;" : format("<{}>", to));
    Field("Subject", SubjectOf(facts_));
    Field("Message-ID", report_.message_id);
    Field("Auto-Submitted", "auto-replied");
    Field("MIME-Version", "1.0");
    Put(
        format("Content-Type: multipart/report; report-type=delivery-status;\r\n"
               "    boundary=\"{}\"\r\n",
               boundary_));
    if (utf8_ || !IsAscii(content_)) Field("Content-Transfer-Encoding", "8bit");
    Put("\r\n");
  }

  void BeginPart(std::string_view type, std::string_view description, std::string_view encoding) {
    Put(format("\r\n--{}\r\n", boundary_));
    Field("Content-Description", description);
    Put(format("Content-Type: {}\r\n", type));
    if (!encoding.empty()) Field("Content-Transfer-Encoding", encoding);
    Put("\r\n");
  }

  void Paragraph(std::string_view text) {
    AppendWrapped(text, 0, report_.bytes);
    Put("\r\n");
  }

  void HumanPart() {
    BeginPart(utf8_ ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", "What happened",
              utf8_ ? "8bit" : "");
    Paragraph(format("This is the mail system at {}.", Clean(facts_.reporting_mta)));
    Paragraph(Introduction());
    for (const ReportRecipient& recipient : facts_.recipients) HumanRecipient(recipient);
    const bool returned = !content_.empty();
    if (returned) {
      Paragraph(full_ ? "Your message is attached." : "The header of your message is attached.");
    }
    Paragraph(format("If you ask for help, write to postmaster@{} and quote {}.",
                     Clean(facts_.mail_name), Clean(facts_.queue_id)));
  }

  std::string Introduction() const {
    const std::string_view who =
        facts_.recipients.size() == 1 ? "the recipient below" : "the recipients below";
    if (facts_.for_postmaster) {
      return format(
          "A message without a sender could not be delivered to {}. It has been given up, "
          "and nobody else was told.",
          who);
    }
    switch (facts_.kind) {
      case NoticeKind::kFailed:
        return format("Your message could not be delivered to {}. It has been given up.", who);
      case NoticeKind::kDelayed:
        return format(
            "Your message could not yet be delivered to {}. You need not send it again: "
            "it will be tried until {}.",
            who, DateText(facts_.retry_until));
      case NoticeKind::kDelivered:
        return format("Your message was delivered to {}, as you asked to be told.", who);
      case NoticeKind::kRelayed:
        return format(
            "Your message was passed on for {} to a mail system that does not report on "
            "delivery. You may hear no more of it.",
            who);
    }
    return {};
  }

  void HumanRecipient(const ReportRecipient& recipient) {
    AppendWrapped(format("<{}>", Address(recipient.address)), 0, report_.bytes);
    const bool bad = facts_.kind == NoticeKind::kFailed || facts_.kind == NoticeKind::kDelayed;
    if (recipient.expired) {
      AppendWrapped(format("It was tried for {} without success. The last trouble was:",
                           WaitText(facts_.now - facts_.arrival)),
                    4, report_.bytes);
    }
    if (bad) {
      AppendWrapped(
          ExplainStatus(recipient.enhanced, recipient.code, Clean(DomainOf(recipient.address))), 4,
          report_.bytes);
    }
    if (!recipient.text.empty()) {
      const std::string said = Clean(Diagnostic(recipient));
      AppendWrapped(recipient.code == 0
                        ? said
                        : format("{} answered: {}",
                                 recipient.remote.empty() ? "The mail server"
                                                          : Clean(HostOf(recipient.remote)),
                                 said),
                    4, report_.bytes);
    }
    Put("\r\n");
  }

  // As the remote said it. Its enhanced code may stand in `text` already, or apart.
  static std::string Diagnostic(const ReportRecipient& recipient) {
    if (recipient.code == 0) return recipient.text;
    const bool stands_in_text =
        recipient.enhanced.empty() || recipient.text.starts_with(recipient.enhanced);
    return stands_in_text ? format("{} {}", recipient.code, recipient.text)
                          : format("{} {} {}", recipient.code, recipient.enhanced, recipient.text);
  }

  void StatusPart() {
    BeginPart(utf8_ ? "message/global-delivery-status" : "message/delivery-status",
              "What happened, for programs", utf8_ ? "8bit" : "");
    Field("Reporting-MTA", format("dns; {}", CleanText(facts_.reporting_mta, utf8_)));
    std::string envid;
    if (!facts_.envid.empty() && DecodeXtext(facts_.envid, &envid)) {
      Field("Original-Envelope-Id", envid);
    }
    Field("Arrival-Date", DateText(facts_.arrival));
    Field("X-Holdfast-Queue-ID", Clean(facts_.queue_id));
    for (const ReportRecipient& recipient : facts_.recipients) StatusRecipient(recipient);
  }

  void StatusRecipient(const ReportRecipient& recipient) {
    Put("\r\n");
    OriginalRecipient(recipient.orcpt);
    Field("Final-Recipient", FinalRecipient(recipient.address));
    Field("Action", ActionOf(facts_.kind));
    Field("Status", StatusOf(facts_, recipient));
    if (!recipient.remote.empty()) {
      Field("Remote-MTA", format("dns; {}", Clean(HostOf(recipient.remote))));
    }
    if (!recipient.text.empty() || recipient.code != 0) {
      Field("Diagnostic-Code", format("{}; {}", recipient.code == 0 ? "x-holdfast" : "smtp",
                                      Clean(Diagnostic(recipient))));
    }
    if (recipient.last_attempt != absl::InfinitePast()) {
      Field("Last-Attempt-Date", DateText(recipient.last_attempt));
    }
    if (facts_.kind == NoticeKind::kDelayed && facts_.retry_until != absl::InfinitePast()) {
      Field("Will-Retry-Until", DateText(facts_.retry_until));
    }
  }

  std::string FinalRecipient(const std::string& address) const {
    return format("{}; {}", IsAscii(address) ? "rfc822" : "utf-8", Address(address));
  }

  // "rfc822;user+40example" as received (RFC 3461 4.2). One that does not decode is left out: the
  // client wrote it, and it must not write our report.
  void OriginalRecipient(std::string_view orcpt) {
    const size_t semicolon = orcpt.find(';');
    if (semicolon == std::string_view::npos || semicolon == 0) return;
    const std::string_view type = orcpt.substr(0, semicolon);
    std::string address;
    if (CleanText(type, false) != type || type.find(' ') != std::string_view::npos) return;
    if (!DecodeXtext(orcpt.substr(semicolon + 1), &address)) return;
    Field("Original-Recipient", format("{}; {}", type, address));
  }

  void ContentPart() {
    if (content_.empty()) return;
    // RFC 6533 4: raw UTF-8 in header fields needs the international forms.
    const std::string_view type = full_ ? (utf8_content_ ? "message/global" : "message/rfc822")
                                  : utf8_content_ ? "message/global-headers"
                                                  : "text/rfc822-headers";
    const std::string_view encoding = quoted_content_     ? "quoted-printable"
                                      : IsAscii(content_) ? ""
                                                          : "8bit";
    BeginPart(type, full_ ? "Your message" : "Header of your message", encoding);
    Put(content_);
    Put("\r\n");
  }

  const ReportFacts& facts_;
  Report report_;
  bool ascii_only_ = false;
  bool utf8_ = false;
  bool full_ = false;
  bool utf8_content_ = false;
  bool quoted_content_ = false;
  std::string content_;
  std::string boundary_;
};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool DecodeXtext(std::string_view text, std::string* out) {
  out->clear();
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '=') return false;
    if (c == '+') {
      if (i + 2 >= text.size()) return false;
      const int high = HexDigit(text[i + 1]);
      const int low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return false;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == ' ') {
      return false;
    }
    if (c < ' ' || c > '~') return false;
    out->push_back(c);
  }
  return !out->empty();
}

Report BuildReport(const ReportFacts& facts) { return Builder(facts).Build(); }

bool ReturnsFullContent(bool ret_headers, NoticeKind kind, uint64_t content_bytes,
                        uint64_t content_bytes_max) {
  return kind == NoticeKind::kFailed && !ret_headers &&
         content_bytes <= std::min(content_bytes_max, kReturnedContentBytesMax);
}

}  // namespace holdfast::queue
