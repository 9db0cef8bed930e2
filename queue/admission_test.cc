#include "queue/admission.h"

#include <gtest/gtest.h>

namespace holdfast::queue {
namespace {

AdmissionLimits Limits() {
  AdmissionLimits limits;
  limits.message_bytes_max = 1000;
  limits.queue_messages_max = 10;
  limits.queue_bytes_max = 5000;
  limits.disk_reserve_bytes = 100;
  return limits;
}

AdmissionFacts Facts() {
  AdmissionFacts facts;
  facts.declared_bytes = 500;
  facts.voters = {{true, 10'000}, {true, 10'000}, {true, 10'000}};
  return facts;
}

TEST(AdmissionTest, AdmitsWithinAllBounds) { EXPECT_TRUE(Admit(Limits(), Facts()).ok()); }

TEST(AdmissionTest, TooLargeForGoodIsToldApart) {
  AdmissionFacts facts = Facts();
  facts.declared_bytes = 1001;
  EXPECT_EQ(Admit(Limits(), facts).code(), absl::StatusCode::kOutOfRange);
}

TEST(AdmissionTest, QueueBoundsHold) {
  AdmissionFacts facts = Facts();
  facts.queue_messages = 10;
  EXPECT_EQ(Admit(Limits(), facts).code(), absl::StatusCode::kResourceExhausted);
  facts = Facts();
  facts.queue_bytes = 4000;
  facts.undecided_bytes = 500;
  EXPECT_TRUE(Admit(Limits(), facts).ok());
  facts.undecided_bytes = 501;
  EXPECT_EQ(Admit(Limits(), facts).code(), absl::StatusCode::kResourceExhausted);
}

TEST(AdmissionTest, AMajorityNeedsRoomAboveTheReserve) {
  AdmissionFacts facts = Facts();
  facts.voters[0].free_bytes = 599;
  EXPECT_TRUE(Admit(Limits(), facts).ok());
  facts.voters[1].known = false;
  EXPECT_EQ(Admit(Limits(), facts).code(), absl::StatusCode::kResourceExhausted);
  facts.voters[0].free_bytes = 600;
  EXPECT_TRUE(Admit(Limits(), facts).ok());
  facts.voters.clear();
  EXPECT_EQ(Admit(Limits(), facts).code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace holdfast::queue
