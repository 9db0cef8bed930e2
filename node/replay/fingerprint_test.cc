#include "node/replay/fingerprint.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

smtp::Envelope MakeEnvelope() {
  smtp::Envelope envelope;
  envelope.reverse_path = "a@back.test";
  for (const char* name : {"b", "c"}) {
    smtp::EnvelopeRecipient recipient;
    recipient.local_part = name;
    recipient.domain = "One.Test";
    recipient.destination = "one.test";
    envelope.recipients.push_back(recipient);
  }
  envelope.client.port = 1234;
  return envelope;
}

std::string Of(const smtp::Envelope& envelope, std::initializer_list<std::string_view> pieces) {
  Fingerprint fingerprint(envelope);
  for (const std::string_view piece : pieces) fingerprint.Add(piece);
  return fingerprint.Finish();
}

TEST(FingerprintTest, TheSameSubmissionOverAnotherConnectionIsTheSame) {
  const smtp::Envelope envelope = MakeEnvelope();
  smtp::Envelope again = MakeEnvelope();
  again.client.port = 4321;
  again.client.ehlo_name = "other.test";
  std::swap(again.recipients[0], again.recipients[1]);
  again.recipients[0].domain = "ONE.test";
  const std::string sha256 = Of(envelope, {"Subject: x\r\n", "\r\nhi\r\n"});
  EXPECT_EQ(sha256.size(), 32u);
  EXPECT_EQ(Of(again, {"Subject: x\r\n\r\nhi\r\n"}), sha256);
}

TEST(FingerprintTest, EverythingThatTellsSubmissionsApartCounts) {
  const std::string sha256 = Of(MakeEnvelope(), {"hi\r\n"});
  EXPECT_NE(Of(MakeEnvelope(), {"ho\r\n"}), sha256);
  smtp::Envelope other = MakeEnvelope();
  other.reverse_path = "A@back.test";
  EXPECT_NE(Of(other, {"hi\r\n"}), sha256);
  other = MakeEnvelope();
  other.recipients.pop_back();
  EXPECT_NE(Of(other, {"hi\r\n"}), sha256);
  other = MakeEnvelope();
  other.recipients[0].local_part = "B";
  EXPECT_NE(Of(other, {"hi\r\n"}), sha256);
  other = MakeEnvelope();
  other.client.auth_user = "a";
  EXPECT_NE(Of(other, {"hi\r\n"}), sha256);
}

// Fields are kept apart: the end of one is not the beginning of the next.
TEST(FingerprintTest, NoTwoListsOfFieldsRunTogether) {
  smtp::Envelope one = MakeEnvelope();
  one.reverse_path = "ab";
  smtp::Envelope two = MakeEnvelope();
  two.reverse_path = "a";
  EXPECT_NE(Of(one, {"c"}), Of(two, {"bc"}));
}

}  // namespace
}  // namespace holdfast::node
