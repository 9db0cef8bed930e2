#include "node/delivery/attempt_gate.h"

#include <gtest/gtest.h>

#include <vector>

namespace holdfast::node {
namespace {

// Started attempts, with the memory that each holds.
struct Started {
  std::vector<std::string> order;
  std::vector<ByteBudget::Reservation> memory;

  AttemptGate::Start As(const std::string& name) {
    return [this, name](ByteBudget::Reservation reservation) {
      order.push_back(name);
      memory.push_back(std::move(reservation));
    };
  }
};

TEST(AttemptGateTest, DestinationAtItsLimitDoesNotHoldUpOthers) {
  AttemptGate gate(10, 1000);
  Started started;
  gate.Enter("a.test", 1, 1, started.As("a1"));
  gate.Enter("a.test", 1, 1, started.As("a2"));
  gate.Enter("b.test", 1, 1, started.As("b1"));
  EXPECT_EQ(started.order, (std::vector<std::string>{"a1", "b1"}));
  EXPECT_EQ(gate.waiting(), 1u);
  gate.Leave("b.test");
  EXPECT_EQ(gate.waiting(), 1u);
  gate.Leave("a.test");
  EXPECT_EQ(started.order.back(), "a2");
  EXPECT_EQ(gate.running(), 1u);
}

TEST(AttemptGateTest, ItIsCrowdedWhenMailWaitsThatItsDestinationWouldTake) {
  AttemptGate gate(1, 1000);
  Started started;
  gate.Enter("a.test", 1, 1, started.As("a1"));
  gate.Enter("a.test", 1, 1, started.As("a2"));
  EXPECT_FALSE(gate.crowded());  // a.test itself takes no more.
  gate.Enter("b.test", 1, 1, started.As("b1"));
  EXPECT_TRUE(gate.crowded());
  gate.Leave("a.test");
  EXPECT_TRUE(gate.crowded());  // a2 runs, b1 still waits.
  gate.Leave("a.test");
  EXPECT_FALSE(gate.crowded());
}

TEST(AttemptGateTest, MemoryIsBoundedAndALargeMessageGetsAllOfItAtMost) {
  AttemptGate gate(10, 100);
  Started started;
  gate.Enter("a.test", 5, 80, started.As("first"));
  gate.Enter("a.test", 5, 5000, started.As("large"));
  gate.Enter("a.test", 5, 20, started.As("small"));
  EXPECT_EQ(started.order, (std::vector<std::string>{"first", "small"}));
  started.memory.clear();
  gate.Leave("a.test");
  EXPECT_EQ(started.order.back(), "large");
  EXPECT_EQ(started.memory.back().bytes(), 100u);
}

TEST(AttemptGateTest, AllAttemptsTogetherAreBounded) {
  AttemptGate gate(2, 1000);
  Started started;
  for (const char* name : {"a", "b", "c"}) gate.Enter(name, 5, 1, started.As(name));
  EXPECT_EQ(started.order.size(), 2u);
  gate.Leave("a");
  EXPECT_EQ(started.order.size(), 3u);
}

TEST(AttemptGateTest, ALimitOfZeroStillLetsOneThrough) {
  AttemptGate gate(2, 1000);
  Started started;
  gate.Enter("a.test", 0, 1, started.As("one"));
  EXPECT_EQ(started.order.size(), 1u);
}

}  // namespace
}  // namespace holdfast::node
