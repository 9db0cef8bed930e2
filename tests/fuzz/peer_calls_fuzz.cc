// What nodes say to each other outside of Raft: calls, their answers, hellos, and the record that
// forming keeps. The first byte chooses which. What decodes encodes to something that decodes to
// the same, and is within the bounds that the rest of the node relies on.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "node/peers/forming.h"
#include "node/peers/peer_calls.h"

namespace holdfast::node {
namespace {

template <typename Message, typename Decode, typename Encode>
void RoundTrip(std::string_view bytes, const Decode& decode, const Encode& encode) {
  absl::StatusOr<Message> message = decode(bytes);
  if (!message.ok()) return;
  const std::string once = encode(*message);
  absl::StatusOr<Message> again = decode(once);
  HOLDFAST_CHECK(again.ok()) << again.status();
  HOLDFAST_CHECK(encode(*again) == once);
}

void FormingFromPeer(const peer_call::Forming& said) {
  Forming forming(NodeId{1}, {NodeId{1}, NodeId{2}, NodeId{3}}, 12,
                  FormingRecord{"0123456789abcdef0123456789abcdef", {}}, false);
  forming.StartRound();
  const absl::Status heard = forming.OnSaid(NodeId{2}, said);
  if (!heard.ok()) HOLDFAST_CHECK(!forming.complete());
  HOLDFAST_CHECK(!forming.complete());  // Node 3 has said nothing.
}

void FuzzRequest(std::string_view bytes) {
  RoundTrip<peer_call::Request>(bytes, DecodeRequest, EncodeRequest);
  absl::StatusOr<peer_call::Request> request = DecodeRequest(bytes);
  if (!request.ok()) return;
  if (request->has_forming()) FormingFromPeer(request->forming());
  if (request->has_under_way()) {
    HOLDFAST_CHECK(request->under_way().attempt_ids_size() <= kAttemptsPerQuestionMax);
  }
  if (request->has_propose()) {
    const raft::Proposal proposal = TakeProposal(*request->mutable_propose());
    HOLDFAST_CHECK(proposal.bodies.size() <= static_cast<size_t>(kBodiesPerProposalMax));
    for (const raft::Body& body : proposal.bodies) HOLDFAST_CHECK(body != nullptr);
  }
}

void FuzzAnswer(std::string_view bytes) {
  RoundTrip<peer_call::Answer>(bytes, DecodeAnswer, EncodeAnswer);
  const absl::StatusOr<peer_call::Answer> answer = DecodeAnswer(bytes);
  if (answer.ok() && answer->has_proposed()) {
    const raft::ProposeResult result = ResultOf(answer->proposed());
    HOLDFAST_CHECK(!result.status.ok() || answer->proposed().code() == 0);
  }
}

void FuzzRecord(std::string_view text) {
  const absl::StatusOr<FormingRecord> record = FormingRecord::FromText(text);
  if (!record.ok()) return;
  const absl::StatusOr<FormingRecord> again = FormingRecord::FromText(record->ToText());
  HOLDFAST_CHECK(again.ok() && again->ToText() == record->ToText()) << record->ToText();
}

}  // namespace
}  // namespace holdfast::node

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      holdfast::node::FuzzRequest(bytes);
      break;
    case 1:
      holdfast::node::FuzzAnswer(bytes);
      break;
    case 2:
      holdfast::node::RoundTrip<holdfast::peer_call::Hello>(bytes, holdfast::node::DecodeHello,
                                                            holdfast::node::EncodeHello);
      break;
    default:
      holdfast::node::FuzzRecord(bytes);
  }
  return 0;
}
