#include "tests/sim/mail_checker.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "proto/command.pb.h"
#include "queue/state/command_codec.h"

namespace holdfast::raft_test {
namespace {

using queue::RecipientEnd;

uint64_t HashOf(std::string_view text, const absl::Status& verdict) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return (hash ^ static_cast<uint64_t>(verdict.code())) * 0x100000001B3ull;
}

std::string DomainOf(std::string_view address) {
  return std::string(address.substr(address.rfind('@') + 1));
}

// The value of the first such field, without what is around it.
std::string FieldOf(std::string_view content, std::string_view name) {
  const size_t at = content.find(name);
  if (at == std::string_view::npos) return "";
  const size_t from = at + name.size();
  return std::string(content.substr(from, content.find("\r\n", from) - from));
}

}  // namespace

std::string SenderOf(uint64_t token) { return format("s{}@{}", token, kSendersDomain); }

std::string RecipientOf(uint64_t token, size_t number, size_t destination) {
  return format("r{}.{}@d{}.test", token, number, destination);
}

uint64_t TokenOf(std::string_view address) {
  if (address.empty() || (address[0] != 's' && address[0] != 'r')) return 0;
  uint64_t token = 0;
  std::from_chars(address.data() + 1, address.data() + address.size(), token);
  return token;
}

// --- clients ---

void MailChecker::OnSubmit(uint64_t token, std::vector<std::string> recipients,
                           std::string content) {
  for (const std::string& address : recipients) {
    Recipient& recipient = recipients_[address];
    recipient.token = token;
    recipient.destination = DomainOf(address);
  }
  Message& message = messages_[token];
  message.recipients = std::move(recipients);
  message.content = std::move(content);
}

void MailChecker::OnAnswer(uint64_t token, const absl::StatusOr<std::string>& offered_as) {
  Message& message = messages_.at(token);
  if (offered_as.ok()) {
    if (message.answer != Answer::kAcknowledged) ++acknowledged_;
    message.answer = Answer::kAcknowledged;
    if (!message.queued)
      return Fail(format("message {} was acknowledged, and is not queued", token));
    if (*offered_as == message.queued_as.ToString()) return;
    return Fail(format("message {} was acknowledged as {}, and is queued as {}", token, *offered_as,
                       message.queued_as.text()));
  }
  message.maybe |= absl::IsDeadlineExceeded(offered_as.status());
  // Of a repeat a refusal says nothing about the offers before.
  if (message.maybe || message.answer == Answer::kAcknowledged) return;
  message.answer = Answer::kRefused;
  if (message.queued) {
    Fail(format("message {} was refused ({}), and is queued as {}", token,
                holdfast::Message(offered_as.status()), message.queued_as.text()));
  }
}

// --- nodes ---

void MailChecker::OnApplied(NodeId node, GroupId group_id, const raft::CommittedEntry& entry,
                            const absl::Status& verdict) {
  Group& group = groups_[group_id];
  const uint64_t hash = HashOf(entry.command, verdict);
  if (entry.index <= group.last) {
    const auto before = group.applied.find(entry.index);
    if (before != group.applied.end() && before->second == hash) return;
    return Fail(format("group {}: node {} applies entry {} otherwise than others did",
                       group_id.value(), node.value(), entry.index));
  }
  group.last = entry.index;
  group.applied[entry.index] = hash;
  const absl::StatusOr<command::Command> command = queue::DecodeCommand(entry.command);
  if (!command.ok())
    return Fail(format("entry {}: {}", entry.index, holdfast::Message(command.status())));
  std::vector<queue::BodyRef> bodies;
  for (const raft::BodyRef& body : entry.bodies) {
    bodies.push_back({body.key.index, body.key.term, body.key.ordinal, body.bytes, body.crc32c});
  }
  const queue::ApplyResult result =
      state_.Apply(entry.index, entry.term, *command, bodies, group.tables);
  if (result.verdict.code() != verdict.code()) {
    Fail(format("group {}: node {} answers entry {} with {}, not {}", group_id.value(),
                node.value(), entry.index, absl::StatusCodeToString(verdict.code()),
                absl::StatusCodeToString(result.verdict.code())));
  }
  if (command->has_raise_state_version() && result.verdict.ok()) {
    const uint32_t version = command->raise_state_version().version();
    group.versions[entry.index] = version;
    if (version > level_) {
      Fail(format("group {} goes to state version {}, and the cluster is at level {}",
                  group_id.value(), version, level_));
    }
  }
  for (const queue::BodyRef& body : result.ended_bodies) {
    reports_.ended({group_id, body.index, body.term, body.ordinal}, entry.index);
  }
  OnEvents(group, result.events);
}

uint32_t MailChecker::VersionAt(GroupId group_id, std::optional<raft::LogIndex> index) const {
  const auto group = groups_.find(group_id);
  if (group == groups_.end()) return 1;
  const auto& versions = group->second.versions;
  auto next = index ? versions.upper_bound(*index) : versions.end();
  return next == versions.begin() ? 1 : std::prev(next)->second;
}

void MailChecker::OnEvents(Group& group, const std::vector<queue::Event>& events) {
  bool in_doubt = false;
  for (const queue::Event& event : events) {
    if (const auto* accepted = std::get_if<queue::MessageAccepted>(&event)) {
      OnAccepted(*accepted);
    } else if (const auto* due = std::get_if<queue::UnitDue>(&event)) {
      group.units[{due->key.queue_id, due->destination}] = due->key;
    } else if (const auto* opened = std::get_if<queue::IntentOpened>(&event)) {
      group.intents[opened->key] = {opened->attempt, in_order_};
    } else if (const auto* recorded = std::get_if<queue::AttemptRecorded>(&event)) {
      OnRecorded(group, *recorded);
      in_doubt = recorded->in_doubt;
    } else if (const auto* deferred = std::get_if<queue::RecipientDeferred>(&event)) {
      const auto recipient = recipients_.find(deferred->address);
      if (in_doubt && recipient != recipients_.end()) ++recipient->second.doubts;
      if (deferred->reply.text.find("can't be read") == std::string::npos) continue;
      Fail(format("the body of {} can't be read", deferred->message.queue_id.text()));
    } else if (const auto* held = std::get_if<queue::MessageHeld>(&event)) {
      Fail(format("{} is held: {}", held->message.queue_id.text(), held->reason));
    } else if (const auto* final = std::get_if<queue::RecipientFinal>(&event)) {
      OnFinal(*final);
    } else if (const auto* ended = std::get_if<queue::MessageEnded>(&event)) {
      std::erase_if(group.units,
                    [ended](const auto& one) { return one.first.first == ended->queue_id; });
    }
  }
}

void MailChecker::OnRecorded(Group& group, const queue::AttemptRecorded& recorded) {
  doubts_ += recorded.in_doubt;
  CheckRecordedOnce(group, recorded);
  const auto intent = group.intents.find(recorded.key);
  if (intent == group.intents.end() || !(intent->second.attempt == recorded.attempt)) return;
  if (recorded.in_doubt && intent->second.in_order) {
    Fail(format("an attempt of {} by node {} ends in doubt, though nothing was wrong",
                recorded.key.queue_id.text(), recorded.attempt.node_id));
  }
  group.intents.erase(intent);
}

// The unit's row counts its attempts by what is recorded, and goes by the count when it retries.
void MailChecker::CheckRecordedOnce(Group& group, const queue::AttemptRecorded& recorded) {
  const auto [known, first] = group.recorded.try_emplace(recorded.attempt, recorded.in_doubt);
  if (first) return;
  if (!known->second || recorded.in_doubt) {
    Fail(format("attempt {:x} of node {} for {} is recorded twice ({} attempts are counted)",
                recorded.attempt.attempt_id, recorded.attempt.node_id, recorded.key.queue_id.text(),
                recorded.attempts));
  }
  known->second = false;
}

void MailChecker::OnLeading(NodeId node, GroupId group, raft::Term term) {
  Group& led = groups_[group];
  if (term <= led.term) return;
  led.term = term;
  led.leader = node;
}

void MailChecker::OnFenceOpens(NodeId node, GroupId group, raft::Term term) {
  const Group& led = groups_[group];
  if (led.leader == node || term > led.term) return;
  Fail(format("group {}: the fence lets a dot of node {} pass, and node {} leads (term {})",
              group.value(), node.value(), led.leader.value(), led.term));
}

void MailChecker::OnAccepted(const queue::MessageAccepted& accepted) {
  if (accepted.message.is_notice) return;
  const uint64_t token = TokenOf(accepted.message.sender);
  const auto found = messages_.find(token);
  if (found == messages_.end()) return Fail("a message that nobody sent is queued");
  Message& message = found->second;
  if (message.queued) return Fail(format("message {} is queued twice", token));
  if (message.answer == Answer::kRefused && !message.maybe) {
    Fail(format("message {} was refused, and is queued", token));
  }
  message.queued = true;
  message.queued_as = accepted.message.queue_id;
}

void MailChecker::OnFinal(const queue::RecipientFinal& final) {
  const auto found = recipients_.find(final.address);
  if (final.message.is_notice) {
    if (final.end != RecipientEnd::kDelivered) {
      Fail(format("the notice {} ends as {}", final.message.queue_id.text(),
                  queue::RecipientEndName(final.end)));
    }
    return;
  }
  if (found == recipients_.end()) return Fail("an unknown recipient ended: " + final.address);
  Recipient& recipient = found->second;
  if (recipient.end != RecipientEnd::kOpen) {
    Fail(format("{} ends a second time, as {}", final.address, RecipientEndName(final.end)));
  }
  recipient.end = final.end;
  (final.end == RecipientEnd::kDelivered ? delivered_ : failed_) += 1;
  if (final.end == RecipientEnd::kDelivered && recipient.taken == 0) {
    Fail(format("{} is called delivered, and no remote took it", final.address));
  }
}

void MailChecker::CheckIntent(NodeId node, uint64_t boot_id, const std::string& recipient,
                              const queue::QueueId& queue_id) {
  for (const auto& [id, group] : groups_) {
    const auto unit = group.units.find({queue_id, DomainOf(recipient)});
    if (unit == group.units.end()) continue;
    const auto intent = group.intents.find(unit->second);
    if (intent == group.intents.end()) {
      return Fail(format("node {} sends the dot of {} to {} without an open intent", node.value(),
                         queue_id.text(), recipient));
    }
    const queue::AttemptKey& attempt = intent->second.attempt;
    if (attempt.node_id != node.value() || attempt.boot_id != boot_id) {
      Fail(format("node {} sends the dot of {} to {}, but the intent is node {}'s (boot {:x})",
                  node.value(), queue_id.text(), recipient, attempt.node_id, attempt.boot_id));
    }
    return;
  }
  Fail(format("node {} sends the dot of {} to {}, which has ended", node.value(), queue_id.text(),
              recipient));
}

void MailChecker::OnDot(NodeId node, uint64_t boot_id, const std::string& sender,
                        const std::vector<std::string>& recipients) {
  if (sender.empty()) return;  // A notice: its queue id is not known here.
  for (const std::string& address : recipients) {
    const auto recipient = recipients_.find(address);
    if (recipient == recipients_.end()) return Fail("mail to a stranger: " + address);
    const Message& message = messages_.at(recipient->second.token);
    if (!message.queued) return Fail("mail that is not queued: " + address);
    CheckIntent(node, boot_id, address, message.queued_as);
  }
}

// --- remotes ---

void MailChecker::OnTaken(const std::string& sender, const std::vector<std::string>& recipients,
                          const std::string& content) {
  if (sender.empty()) return OnNotice(content);
  for (const std::string& address : recipients) {
    const auto found = recipients_.find(address);
    if (found == recipients_.end()) return Fail("a remote got mail to a stranger: " + address);
    Recipient& recipient = found->second;
    if (messages_.at(recipient.token).content != content) {
      Fail("a remote got other content than was sent to " + address);
    }
    // Before the last one an attempt was in doubt; that it was may be recorded later.
    if (recipient.taken++ > 0) ++repeats_;
  }
}

void MailChecker::OnNotice(const std::string& content) {
  const std::string id = FieldOf(content, "Message-ID: ");
  size_t at = 0;
  constexpr std::string_view kField = "\r\nFinal-Recipient: rfc822; ";
  while ((at = content.find(kField, at)) != std::string::npos) {
    at += kField.size();
    const std::string address = content.substr(at, content.find("\r\n", at) - at);
    const auto recipient = recipients_.find(address);
    if (recipient == recipients_.end()) return Fail("a notice about a stranger: " + address);
    if (!content.substr(at + address.size(), 100).starts_with("\r\nAction: failed")) continue;
    recipient->second.notices.insert(id);
  }
}

// --- the end ---

uint64_t MailChecker::Open() const {
  uint64_t open = 0;
  for (const auto& [address, recipient] : recipients_) {
    const bool queued = messages_.at(recipient.token).queued;
    if (queued && recipient.end == RecipientEnd::kOpen) ++open;
  }
  return open;
}

std::string MailChecker::Unsettled() const {
  uint64_t open = 0;
  uint64_t untold = 0;
  std::string example;
  for (const auto& [address, recipient] : recipients_) {
    const Message& message = messages_.at(recipient.token);
    if (!message.queued) continue;
    const bool failed =
        recipient.end == RecipientEnd::kBounced || recipient.end == RecipientEnd::kExpired;
    if (recipient.end == RecipientEnd::kOpen) {
      ++open;
    } else if (failed && recipient.notices.empty()) {
      ++untold;
    } else {
      continue;
    }
    example = format("{} ({})", address, message.queued_as.text());
  }
  if (open + untold == 0) return "";
  return format("\n  {} recipients have not ended, {} failures are not told, as {}", open, untold,
                example);
}

void MailChecker::CheckEnd(const std::string& address, const Recipient& recipient) {
  if (recipient.taken > 1 + recipient.doubts) {
    Fail(format("a remote took {} {} times, with {} attempts in doubt", address, recipient.taken,
                recipient.doubts));
  }
  const bool failed =
      recipient.end == RecipientEnd::kBounced || recipient.end == RecipientEnd::kExpired;
  if (recipient.notices.size() != (failed ? 1u : 0u)) {
    Fail(format("{} ended as {}, and {} notices say that it failed", address,
                RecipientEndName(recipient.end), recipient.notices.size()));
  }
}

void MailChecker::OnSettled() {
  for (const auto& [address, recipient] : recipients_) {
    const Message& message = messages_.at(recipient.token);
    if (message.queued) CheckEnd(address, recipient);
    if (!message.queued && recipient.taken > 0) Fail("a remote got what is not queued: " + address);
  }
}

void MailChecker::OnSettled(GroupId group_id, NodeId node, const raft::SimRows& rows) {
  const Group& group = groups_[group_id];
  if (rows == group.tables.rows()) return;
  Fail(format("group {}: the rows of node {} are not what its commands make", group_id.value(),
              node.value()));
}

}  // namespace holdfast::raft_test
