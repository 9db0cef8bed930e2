#include "queue/testing/test_queue.h"

#include <gtest/gtest.h>

#include "queue/state/command_codec.h"
#include "queue/state/invariants.h"
#include "queue/state/keys.h"

namespace holdfast::queue::testing {
namespace {

int64_t Us(double seconds) { return static_cast<int64_t>(seconds * 1e6); }

}  // namespace

QueueId TestId(uint32_t n) { return QueueId::FromParts(n, 1, n); }

absl::Time AtSecond(double seconds) { return absl::FromUnixMicros(Us(seconds)); }

std::string FingerprintOf(const std::string& name) {
  std::string sha256 = name;
  // Not a text, as real ones are none.
  sha256.resize(kFingerprintBytes, '\xFE');
  return sha256;
}

command::Enqueue EnqueueOf(const MessageSpec& spec) {
  command::Enqueue enqueue;
  enqueue.set_queue_id(TestId(spec.id).ToString());
  command::Envelope* envelope = enqueue.mutable_envelope();
  envelope->set_sender(spec.sender);
  for (const std::string& to : spec.to) {
    command::Recipient* recipient = envelope->add_recipients();
    recipient->set_address(to);
    recipient->set_destination(to.substr(to.rfind('@') + 1));
  }
  envelope->set_content_bytes(1000 * (spec.bodies + spec.chunks));
  envelope->set_is_notice(spec.is_notice);
  enqueue.set_accepted_us(Us(spec.at));
  enqueue.set_expires_us(Us(spec.at + spec.expires));
  enqueue.set_due_us(Us(spec.due < 0 ? spec.at : spec.due));
  enqueue.set_first_body_ordinal(spec.first_body);
  enqueue.set_body_count(spec.bodies);
  enqueue.set_chunk_count(spec.chunks);
  enqueue.set_held(spec.held);
  if (spec.held) enqueue.set_held_reason("test");
  if (!spec.fingerprint.empty()) {
    command::Fingerprint& fingerprint = *enqueue.mutable_fingerprint();
    fingerprint.set_sha256(FingerprintOf(spec.fingerprint));
    fingerprint.set_forget_us(Us(spec.at + spec.forget));
    fingerprint.set_kept_max(spec.kept_max);
  }
  return enqueue;
}

command::Command MakeEnqueue(const MessageSpec& spec) {
  command::Command command;
  *command.mutable_enqueue() = EnqueueOf(spec);
  return command;
}

command::Command MakeIntent(const AttemptSpec& spec) {
  command::Command command;
  command::Intent* intent = command.mutable_intents()->add_intents();
  intent->set_queue_id(TestId(spec.id).ToString());
  intent->set_unit(spec.unit);
  intent->set_attempt_id(spec.attempt);
  intent->set_node_id(spec.node);
  intent->set_boot_id(spec.boot);
  intent->set_stamped_us(Us(spec.at));
  return command;
}

command::Command MakeOutcome(const AttemptSpec& spec) {
  command::Command command;
  command::AttemptOutcome* outcome = command.mutable_outcomes()->add_attempts();
  outcome->set_queue_id(TestId(spec.id).ToString());
  outcome->set_unit(spec.unit);
  outcome->set_attempt_id(spec.attempt);
  outcome->set_node_id(spec.node);
  outcome->set_boot_id(spec.boot);
  outcome->set_started_us(Us(spec.at) - 1);
  outcome->set_ended_us(Us(spec.at));
  outcome->set_next_due_us(Us(spec.next));
  outcome->set_in_doubt(spec.in_doubt);
  outcome->set_remote("mx.test [192.0.2.1]:25");
  for (size_t i = 0; i < spec.results.size(); ++i) {
    command::RecipientOutcome* recipient = outcome->add_recipients();
    recipient->set_recipient(spec.first_recipient + static_cast<uint32_t>(i));
    recipient->set_result(spec.results[i]);
    const bool delivered = spec.results[i] == command::RESULT_DELIVERED;
    const bool bounced = spec.results[i] == command::RESULT_BOUNCED;
    recipient->set_code(delivered ? 250 : bounced ? 550 : 451);
    recipient->set_text(delivered ? "taken" : bounced ? "no such user" : "try later");
  }
  for (const MessageSpec& notice : spec.notices) {
    *outcome->add_notices()->mutable_enqueue() = EnqueueOf(notice);
  }
  return command;
}

ApplyResult TestQueue::Apply(const command::Command& command, uint32_t bodies) {
  absl::StatusOr<std::string> bytes = EncodeCommand(command);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  absl::StatusOr<command::Command> decoded = DecodeCommand(bytes.ok() ? *bytes : "");
  EXPECT_TRUE(decoded.ok()) << decoded.status();
  std::vector<BodyRef> refs;
  ++index_;
  for (uint32_t i = 0; i < bodies; ++i) refs.push_back({index_, 1, i, 1000, i});
  ApplyResult result;
  if (!decoded.ok()) return result;
  result = state_.Apply(index_, 1, *decoded, refs, tables_);
  if (check_invariants_) {
    for (const std::string& finding : CheckInvariants(tables_)) {
      ADD_FAILURE() << finding << "\nafter " << decoded->ShortDebugString();
    }
  }
  return result;
}

std::string DumpTables(const MemoryTables& tables) {
  std::string text;
  for (const auto& [key, value] : tables.rows()) {
    for (char c : key) text.push_back(c > ' ' && c < 0x7F ? c : '.');
    text.push_back('\n');
  }
  return text;
}

}  // namespace holdfast::queue::testing
