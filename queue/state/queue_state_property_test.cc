// Random commands, sensible and not, on two replicas: equal rows, and invariants after each step.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/random.h"
#include "queue/state/command_codec.h"
#include "queue/state/invariants.h"
#include "queue/state/queue_state.h"
#include "queue/testing/test_queue.h"

namespace holdfast::queue {
namespace {

using testing::AttemptSpec;
using testing::MessageSpec;
using testing::TestId;

constexpr uint32_t kIds = 8;

class RandomCommands {
 public:
  explicit RandomCommands(uint64_t seed) : random_(seed) {}

  // A command and the number of its entry's bodies.
  std::pair<command::Command, uint32_t> Next() {
    now_ += static_cast<double>(random_.Below(2000));
    ++commands_;
    switch (random_.Below(13)) {
      case 0:
      case 1:
      case 2: {
        const MessageSpec spec = RandomMessage(Id());
        const uint32_t bodies = spec.first_body + spec.bodies;
        return {testing::MakeEnqueue(spec), random_.OneIn(6) ? 1 : bodies};
      }
      case 3:
        return {ChunkOrAbandon(), 1};
      case 4:
      case 5:
        return {testing::MakeIntent(RandomAttempt()), 0};
      case 6:
      case 7:
      case 8:
        return {testing::MakeOutcome(RandomAttempt()), static_cast<uint32_t>(random_.Below(3))};
      case 9:
        return {RandomConfirm(), 0};
      default:
        return {OperatorVerb(), 1};
    }
  }

 private:
  // New ids come in slowly, so that commands meet messages in every state.
  uint32_t Id() { return 1 + commands_ / 6 + static_cast<uint32_t>(random_.Below(kIds)); }

  MessageSpec RandomMessage(uint32_t id) {
    MessageSpec spec{.id = id, .at = now_};
    spec.to.clear();
    for (uint64_t i = random_.OneIn(8) ? 0 : random_.Between(1, 5); i > 0; --i) {
      spec.to.push_back("r@d" + std::to_string(random_.Below(3)) + ".test");
    }
    spec.due = random_.OneIn(3) ? now_ + static_cast<double>(random_.Below(500)) : -1;
    spec.bodies = random_.OneIn(8) ? 0 : static_cast<uint32_t>(random_.Between(1, 2));
    spec.first_body = random_.OneIn(4) ? 1 : 0;
    spec.chunks = random_.OneIn(3) ? static_cast<uint32_t>(random_.Below(3)) : 0;
    spec.held = random_.OneIn(6);
    if (random_.OneIn(2)) {
      // Few, so that messages are alike.
      spec.fingerprint = std::string(1, static_cast<char>('a' + random_.Below(4)));
      spec.forget = static_cast<double>(random_.Below(20'000));
      spec.kept_max = static_cast<uint32_t>(random_.Below(8));
    }
    return spec;
  }

  AttemptSpec RandomAttempt() {
    AttemptSpec spec{.id = Id(), .at = now_};
    spec.unit = random_.OneIn(2) ? 0 : static_cast<uint32_t>(random_.Below(3));
    spec.attempt = random_.Below(4);
    spec.in_doubt = random_.OneIn(5);
    spec.next = now_ + 300;
    spec.first_recipient = spec.unit;
    spec.results.clear();
    for (uint64_t i = random_.OneIn(8) ? 0 : random_.Between(1, 2); i > 0; --i) {
      const uint64_t result = random_.OneIn(12) ? 0 : random_.Between(1, 6);
      spec.results.push_back(static_cast<command::Result>(result));
    }
    if (random_.OneIn(3)) {
      MessageSpec notice = RandomMessage(Id());
      notice.is_notice = true;
      notice.sender = "";
      notice.chunks = 0;
      notice.bodies = 1;
      spec.notices.push_back(notice);
    }
    return spec;
  }

  command::Command ChunkOrAbandon() {
    command::Command command;
    if (random_.OneIn(3)) {
      command.mutable_abandon()->set_queue_id(TestId(Id()).ToString());
    } else {
      command.mutable_chunk()->set_queue_id(TestId(Id()).ToString());
      command.mutable_chunk()->set_ordinal(static_cast<uint32_t>(random_.Below(2)));
    }
    return command;
  }

  command::Command RandomConfirm() {
    command::Command command;
    command::Confirm& confirm = *command.mutable_confirm();
    confirm.set_stamped_us(static_cast<int64_t>(now_ * 1e6));
    for (uint64_t i = random_.Below(10); i > 0; --i) {
      command::Confirmed& message = *confirm.add_messages();
      message.set_queue_id(TestId(Id()).ToString());
      message.set_sha256(
          testing::FingerprintOf(std::string(1, static_cast<char>('a' + random_.Below(4)))));
    }
    return command;
  }

  command::Command OperatorVerb() {
    command::Command command;
    const auto us = static_cast<int64_t>(now_ * 1e6);
    const auto fill = [this, us](auto* verb) {
      for (uint64_t i = random_.Below(3); i > 0; --i) {
        verb->add_queue_ids(TestId(Id()).ToString());
      }
      verb->set_stamped_us(us);
    };
    switch (random_.Below(7)) {
      case 0:
        fill(command.mutable_hold());
        break;
      case 1:
        fill(command.mutable_release());
        break;
      case 2:
        fill(command.mutable_remove());
        break;
      case 3:
        fill(command.mutable_retry());
        break;
      case 4:
        fill(command.mutable_reroute());
        command.mutable_reroute()->set_destination("d" + std::to_string(random_.Below(4)) +
                                                   ".test");
        break;
      case 5:
        command.mutable_warn()->set_queue_id(TestId(Id()).ToString());
        command.mutable_warn()->set_stamped_us(us);
        break;
      default:
        command.mutable_bounce()->set_queue_id(TestId(Id()).ToString());
        command.mutable_bounce()->set_stamped_us(us);
        for (uint64_t i = random_.Below(2); i < 2; ++i) {
          command.mutable_bounce()->add_recipients(static_cast<uint32_t>(1 - i));
        }
        *command.mutable_bounce()->add_notices()->mutable_enqueue() =
            testing::EnqueueOf({.id = Id(), .sender = "", .at = now_, .is_notice = true});
    }
    return command;
  }

  Random random_;
  double now_ = 0;
  uint32_t commands_ = 0;
};

// Bodies that an entry brought and that have not ended: each must end once, and exactly those that
// live messages and chunks name must be left.
class BodyAccount {
 public:
  void Bring(const std::vector<BodyRef>& bodies) { alive_.insert(bodies.begin(), bodies.end()); }
  void End(const std::vector<BodyRef>& bodies) {
    for (const BodyRef& body : bodies) EXPECT_EQ(alive_.erase(body), 1u) << "ended twice";
  }
  size_t alive() const { return alive_.size(); }

 private:
  std::set<BodyRef> alive_;
};

TEST(QueueStatePropertyTest, EqualHistoriesGiveEqualRowsAndInvariantsHold) {
  std::map<command::Command::KindCase, int> applied;
  for (uint64_t seed = 1; seed <= 80; ++seed) {
    RandomCommands commands(seed);
    QueueState state;
    MemoryTables one;
    MemoryTables two;
    BodyAccount bodies;
    for (uint64_t index = 1; index <= 300; ++index) {
      auto [command, body_count] = commands.Next();
      absl::StatusOr<std::string> bytes = EncodeCommand(command);
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      std::vector<BodyRef> refs;
      for (uint32_t i = 0; i < body_count; ++i) refs.push_back({index, 1, i, 100, i});
      bodies.Bring(refs);
      ApplyResult result = state.Apply(index, 1, *DecodeCommand(*bytes), refs, one);
      state.Apply(index, 1, *DecodeCommand(*bytes), refs, two);
      if (result.verdict.ok()) ++applied[command.kind_case()];
      bodies.End(result.ended_bodies);
      const std::vector<std::string> findings = CheckInvariants(one);
      ASSERT_TRUE(findings.empty())
          << "seed " << seed << " index " << index << ": " << findings[0] << "\n"
          << command.ShortDebugString();
      ASSERT_EQ(one.rows(), two.rows()) << "seed " << seed << " index " << index;
    }
  }
  // Of every kind some were not refused.
  EXPECT_EQ(applied.size(), 13u);
  for (const auto& [kind, count] : applied) {
    // A bounce must guess which recipients are open.
    EXPECT_GT(count, kind == command::Command::kBounce ? 5 : 20) << kind;
  }
}

// What a new leader proposes again after an unknown outcome must not happen twice.
TEST(QueueStatePropertyTest, ARepeatedCommandChangesNoMessage) {
  for (uint64_t seed = 100; seed < 120; ++seed) {
    RandomCommands commands(seed);
    QueueState state;
    MemoryTables tables;
    uint64_t index = 0;
    for (int step = 0; step < 200; ++step) {
      auto [command, body_count] = commands.Next();
      // An operator's verb said twice may do something twice: hold, release, hold.
      const bool once = command.has_enqueue() || command.has_chunk() || command.has_outcomes() ||
                        command.has_warn() || command.has_bounce() || command.has_remove();
      const command::Command decoded = *DecodeCommand(*EncodeCommand(command));
      const auto refs = [&index, count = body_count]() {
        std::vector<BodyRef> made;
        ++index;
        for (uint32_t i = 0; i < count; ++i) made.push_back({index, 1, i, 100, i});
        return made;
      };
      ApplyResult first = state.Apply(index + 1, 1, decoded, refs(), tables);
      if (!once || !first.verdict.ok()) continue;
      const auto before = tables.rows();
      ApplyResult second = state.Apply(index + 1, 1, decoded, refs(), tables);
      EXPECT_FALSE(second.verdict.ok()) << decoded.ShortDebugString();
      EXPECT_EQ(second.ended_bodies.size(), body_count);
      EXPECT_EQ(tables.rows(), before) << decoded.ShortDebugString();
    }
  }
}

}  // namespace
}  // namespace holdfast::queue
