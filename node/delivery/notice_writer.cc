#include "node/delivery/notice_writer.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "queue/dsn/report.h"
#include "smtp/protocol/address.h"

namespace holdfast::node {
namespace {

// A header section longer than this is cut: a notice must stay small.
constexpr uint64_t kReturnedHeaderBytesMax = 64 * 1024;

queue::ReportRecipient RecipientOf(const queue::MessageView& message, const NoticeFact& fact) {
  const command::Recipient& recipient =
      message.row.envelope().recipients(static_cast<int>(fact.recipient));
  queue::ReportRecipient out;
  out.address = recipient.address();
  out.orcpt = recipient.orcpt();
  out.code = fact.code;
  out.enhanced = fact.enhanced;
  out.text = fact.text;
  out.remote = fact.remote;
  out.last_attempt = fact.last_attempt;
  out.expired = fact.expired;
  return out;
}

}  // namespace

NoticeWriter::Original NoticeWriter::ReadOriginal(const queue::MessageView& message,
                                                  queue::NoticeKind kind,
                                                  const PolicySnapshot& policy) const {
  Original original;
  const command::Envelope& envelope = message.row.envelope();
  original.full = queue::ReturnsFullContent(
      envelope.ret() == command::RETURN_HEADERS, kind, envelope.content_bytes(),
      std::min<uint64_t>(policy.settings().limits.notice_content_bytes_max,
                         queue::kReturnedContentBytesMax));
  for (const queue::rows::BodyRefRow& ref : message.row.bodies()) {
    const absl::StatusOr<raft::Body> body =
        store_.ReadBody({group_, ref.index(), ref.term(), ref.ordinal()});
    if (!body.ok()) {
      Log(LogLevel::kError, "notice_without_original",
          {{"queue_id", message.queue_id.text()}, {"reason", Message(body.status())}});
      return {};
    }
    original.content += **body;
    if (!original.full) break;
  }
  if (original.full) return original;
  const size_t end = original.content.find("\r\n\r\n");
  original.content.resize(std::min<uint64_t>(
      end == std::string::npos ? original.content.size() : end + 2, kReturnedHeaderBytesMax));
  return original;
}

std::vector<MadeNotice> NoticeWriter::Make(const queue::MessageView& message,
                                           const std::vector<NoticeFact>& facts,
                                           const PolicySnapshot& policy, absl::Time now) const {
  queue::NoticeQuestion question;
  question.sender = message.row.envelope().sender();
  question.is_notice = message.row.envelope().is_notice();
  question.postmaster_address = policy.settings().postmaster_address;
  for (const NoticeFact& fact : facts) {
    const command::Recipient& recipient =
        message.row.envelope().recipients(static_cast<int>(fact.recipient));
    queue::NoticeSubject& subject = question.subjects.emplace_back();
    subject.recipient = fact.recipient;
    subject.notify = recipient.notify();
    subject.cause = fact.cause;
    subject.address = recipient.address();
    question.delay_notice_always |=
        policy.DestinationFor(recipient.destination()).retry.delay_notice_always;
  }
  const queue::NoticePlan plan = queue::NoticesFor(question);
  for (const uint32_t recipient : plan.untold) {
    Log(LogLevel::kWarn, "nobody_to_tell",
        {{"queue_id", message.queue_id.text()},
         {"to", message.row.envelope().recipients(static_cast<int>(recipient)).address()}});
  }
  std::vector<MadeNotice> made;
  for (const queue::PlannedNotice& planned : plan.notices) {
    std::optional<MadeNotice> notice = MakeOne(message, planned, facts, policy, now);
    if (notice) made.push_back(*std::move(notice));
  }
  return made;
}

std::optional<MadeNotice> NoticeWriter::MakeOne(const queue::MessageView& message,
                                                const queue::PlannedNotice& plan,
                                                const std::vector<NoticeFact>& facts,
                                                const PolicySnapshot& policy,
                                                absl::Time now) const {
  const command::Envelope& envelope = message.row.envelope();
  smtp::PathRules rules;
  rules.allow_utf8 = true;
  const smtp::PathResult to = smtp::ParseMailbox(plan.to, rules);
  if (!to.path || to.path->domain_key.empty()) {
    Log(LogLevel::kWarn, "notice_not_addressable",
        {{"queue_id", message.queue_id.text()}, {"to", plan.to}});
    return std::nullopt;
  }
  queue::ReportFacts report;
  report.kind = plan.kind;
  report.reporting_mta = hostname_;
  report.mail_name = policy.settings().mail_name.empty() ? hostname_ : policy.settings().mail_name;
  report.queue_id = message.queue_id.ToString();
  report.notice_id = next_queue_id_();
  report.now = now;
  report.to = plan.to;
  report.for_postmaster = plan.for_postmaster;
  report.original_sender = envelope.sender();
  report.envid = envelope.envid();
  report.arrival = absl::FromUnixMicros(message.row.accepted_us());
  if (plan.kind == queue::NoticeKind::kDelayed) {
    report.retry_until = absl::FromUnixMicros(message.row.expires_us());
  }
  report.smtputf8 = envelope.smtputf8();
  report.utf8_headers = envelope.utf8_headers();
  for (const NoticeFact& fact : facts) {
    if (std::find(plan.recipients.begin(), plan.recipients.end(), fact.recipient) !=
        plan.recipients.end()) {
      report.recipients.push_back(RecipientOf(message, fact));
      // The way back may lead over the next hop that could not take the message as it is.
      report.ascii_only |= fact.enhanced == "5.6.3" || fact.enhanced == "5.6.7";
    }
  }
  const Original original = ReadOriginal(message, plan.kind, policy);
  report.content = original.content;
  report.content_is_full = original.full;
  queue::Report text = queue::BuildReport(report);

  MadeNotice made;
  command::Enqueue& enqueue = made.enqueue;
  enqueue.set_queue_id(report.notice_id);
  enqueue.set_accepted_us(absl::ToUnixMicros(now));
  enqueue.set_due_us(enqueue.accepted_us());
  const RetrySettings& retry = policy.DestinationFor(to.path->domain_key).retry;
  enqueue.set_expires_us(absl::ToUnixMicros(now + retry.null_sender_expiry));
  enqueue.set_body_count(1);
  command::Envelope& out = *enqueue.mutable_envelope();
  command::Recipient& recipient = *out.add_recipients();
  recipient.set_address(plan.to);
  recipient.set_destination(to.path->domain_key);
  recipient.set_notify(command::NOTIFY_NEVER);
  out.set_is_notice(true);
  out.set_message_id(text.message_id);
  out.set_content_bytes(text.bytes.size());
  out.set_header_bytes(text.header_bytes);
  out.set_has_8bit(text.has_8bit);
  if (text.has_8bit) out.set_body_kind(command::BODY_8BITMIME);
  out.set_smtputf8(text.needs_smtputf8);
  out.set_utf8_headers(text.needs_smtputf8);
  made.body = std::make_shared<const std::string>(std::move(text.bytes));
  return made;
}

}  // namespace holdfast::node
