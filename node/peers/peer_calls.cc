#include "node/peers/peer_calls.h"

#include <memory>
#include <utility>

#include "raft/transport/peer_address.h"

namespace holdfast::node {
namespace {

constexpr size_t kDestinationBytesMax = 255;

absl::Status Malformed(std::string_view what) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "a malformed call of a peer: {}", what);
}

template <typename Message>
absl::Status Parse(std::string_view bytes, std::string_view what, Message* message) {
  if (bytes.size() > INT32_MAX ||
      !message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Malformed(what);
  }
  if (message->format() != kPeerCallFormat) {
    return MakeStatus(absl::StatusCode::kUnimplemented, "{} of format {}, this build knows {}",
                      what, message->format(), kPeerCallFormat);
  }
  return absl::OkStatus();
}

absl::Status CheckUnderWay(const peer_call::UnderWay& under_way) {
  if (under_way.attempt_ids_size() > kAttemptsPerQuestionMax) return Malformed("attempts");
  return absl::OkStatus();
}

absl::Status CheckBeat(const peer_call::Beat& beat) {
  bool fits = beat.groups_size() <= kGroupsPerBeatMax;
  for (const std::string* text :
       {&beat.hostname(), &beat.version(), &beat.address(), &beat.not_ready_reason(),
        &beat.load_part(), &beat.handed_over_reason()}) {
    fits &= text->size() <= kBeatTextBytesMax;
  }
  fits &= beat.fitness().load_reason().size() <= kBeatTextBytesMax &&
          beat.fitness().moved_size() <= kGroupsPerBeatMax;
  for (const peer_call::LedGroup& group : beat.groups()) fits &= group.members_size() <= 64;
  return fits ? absl::OkStatus() : Malformed("beat");
}

absl::Status CheckForming(const peer_call::Forming& forming) {
  bool fits = forming.tokens_size() <= raft::kClusterNodesMax &&
              forming.nodes_size() <= raft::kClusterNodesMax && forming.token().size() == 32;
  for (const peer_call::FormingToken& token : forming.tokens()) fits &= token.token().size() == 32;
  return fits ? absl::OkStatus() : Malformed("forming");
}

absl::Status CheckJoin(const peer_call::Join& join) {
  bool fits = join.nodes_size() <= kKnownNodesMax;
  for (const peer_call::KnownNode& node : join.nodes()) {
    fits &= node.node_id() != 0 && node.address().size() <= kBeatTextBytesMax;
  }
  return fits ? absl::OkStatus() : Malformed("join");
}

absl::Status CheckShares(const peer_call::Shares& shares) {
  bool fits = shares.asks_size() <= kSharesPerCallMax && shares.grants_size() <= kSharesPerCallMax;
  for (const peer_call::ShareAsk& ask : shares.asks()) {
    fits &= !ask.destination().empty() && ask.destination().size() <= kDestinationBytesMax;
  }
  for (const peer_call::ShareGrant& grant : shares.grants()) {
    fits &= !grant.destination().empty() && grant.destination().size() <= kDestinationBytesMax;
  }
  return fits ? absl::OkStatus() : Malformed("shares");
}

absl::Status CheckDidYouSee(const peer_call::DidYouSee& asked) {
  bool fits = asked.sha256_size() <= kFingerprintsPerQuestionMax &&
              asked.groups_size() <= kGroupsPerBeatMax &&
              asked.unanswered_size() <= kGroupsPerBeatMax &&
              asked.points_size() <= kGroupsPerBeatMax &&
              asked.under_way_size() <= kFingerprintsPerQuestionMax &&
              asked.seen_size() <= kSeenPerAnswerMax && asked.confirmed_size() <= kSeenPerAnswerMax;
  for (const std::string& sha256 : asked.sha256()) fits &= sha256.size() == 32;
  for (const peer_call::GroupPoint& one : asked.points()) fits &= one.group() != 0;
  for (const auto* list : {&asked.seen(), &asked.confirmed()}) {
    for (const peer_call::SeenSubmission& one : *list) {
      fits &= one.group() != 0 && one.queue_id().size() == 16;
    }
  }
  return fits ? absl::OkStatus() : Malformed("question about replays");
}

absl::Status CheckPropose(const peer_call::Propose& propose) {
  if (propose.command().empty() || propose.bodies_size() > kBodiesPerProposalMax) {
    return Malformed("proposal");
  }
  return absl::OkStatus();
}

absl::Status CheckProposed(const peer_call::Proposed& proposed) {
  if (proposed.code() > static_cast<uint32_t>(absl::StatusCode::kUnauthenticated)) {
    return Malformed("result");
  }
  // What was accepted has a place in the log; the defaults of an empty message must not earn a 250.
  if (proposed.code() == 0 && proposed.index() == 0) return Malformed("result");
  return absl::OkStatus();
}

}  // namespace

std::string EncodeRequest(peer_call::Request request) {
  request.set_format(kPeerCallFormat);
  return request.SerializeAsString();
}

absl::StatusOr<peer_call::Request> DecodeRequest(std::string_view bytes) {
  peer_call::Request request;
  HOLDFAST_RETURN_IF_ERROR(Parse(bytes, "request", &request));
  switch (request.kind_case()) {
    case peer_call::Request::kPropose:
      HOLDFAST_RETURN_IF_ERROR(CheckPropose(request.propose()));
      return request;
    case peer_call::Request::kUnderWay:
      HOLDFAST_RETURN_IF_ERROR(CheckUnderWay(request.under_way()));
      return request;
    case peer_call::Request::kBeat:
      HOLDFAST_RETURN_IF_ERROR(CheckBeat(request.beat()));
      return request;
    case peer_call::Request::kForming:
      HOLDFAST_RETURN_IF_ERROR(CheckForming(request.forming()));
      return request;
    case peer_call::Request::kHandOver:
      return request;
    case peer_call::Request::kJoin:
      if (request.join().token().size() != 32) return Malformed("join");
      HOLDFAST_RETURN_IF_ERROR(CheckJoin(request.join()));
      return request;
    case peer_call::Request::kShares:
      HOLDFAST_RETURN_IF_ERROR(CheckShares(request.shares()));
      return request;
    case peer_call::Request::kDidYouSee:
      HOLDFAST_RETURN_IF_ERROR(CheckDidYouSee(request.did_you_see()));
      return request;
    case peer_call::Request::kReadPoint:
      return request;
    case peer_call::Request::KIND_NOT_SET:
      break;
  }
  return MakeStatus(absl::StatusCode::kUnimplemented, "{}", kUnknownCall);
}

std::string EncodeAnswer(peer_call::Answer answer) {
  answer.set_format(kPeerCallFormat);
  return answer.SerializeAsString();
}

absl::StatusOr<peer_call::Answer> DecodeAnswer(std::string_view bytes) {
  peer_call::Answer answer;
  HOLDFAST_RETURN_IF_ERROR(Parse(bytes, "answer", &answer));
  switch (answer.kind_case()) {
    case peer_call::Answer::kProposed:
      HOLDFAST_RETURN_IF_ERROR(CheckProposed(answer.proposed()));
      return answer;
    case peer_call::Answer::kUnderWay:
      HOLDFAST_RETURN_IF_ERROR(CheckUnderWay(answer.under_way()));
      return answer;
    case peer_call::Answer::kBeat:
      HOLDFAST_RETURN_IF_ERROR(CheckBeat(answer.beat()));
      return answer;
    case peer_call::Answer::kForming:
      HOLDFAST_RETURN_IF_ERROR(CheckForming(answer.forming()));
      return answer;
    case peer_call::Answer::kHandOver:
      return answer;
    case peer_call::Answer::kJoin:
      HOLDFAST_RETURN_IF_ERROR(CheckJoin(answer.join()));
      return answer;
    case peer_call::Answer::kShares:
      HOLDFAST_RETURN_IF_ERROR(CheckShares(answer.shares()));
      return answer;
    case peer_call::Answer::kDidYouSee:
      HOLDFAST_RETURN_IF_ERROR(CheckDidYouSee(answer.did_you_see()));
      return answer;
    case peer_call::Answer::kReadPoint:
      // What was committed has a place in the log: an empty message says nothing.
      if (answer.read_point().index() == 0) return Malformed("read point");
      return answer;
    case peer_call::Answer::KIND_NOT_SET:
      break;
  }
  return absl::UnimplementedError("an answer of a kind that this build does not know");
}

std::string EncodeHello(peer_call::Hello hello) {
  hello.set_format(kPeerCallFormat);
  return hello.SerializeAsString();
}

absl::StatusOr<peer_call::Hello> DecodeHello(std::string_view bytes) {
  peer_call::Hello hello;
  HOLDFAST_RETURN_IF_ERROR(Parse(bytes, "hello", &hello));
  if (hello.acknowledged_size() > kGroupsPerHelloMax) return Malformed("hello");
  return hello;
}

peer_call::Request ProposeRequest(GroupId group, const raft::Proposal& proposal) {
  peer_call::Request request;
  peer_call::Propose& propose = *request.mutable_propose();
  propose.set_group(group.value());
  propose.set_command(proposal.command);
  for (const raft::Body& body : proposal.bodies) propose.add_bodies(*body);
  return request;
}

raft::Proposal TakeProposal(peer_call::Propose& propose) {
  raft::Proposal proposal;
  proposal.command = std::move(*propose.mutable_command());
  for (std::string& body : *propose.mutable_bodies()) {
    proposal.bodies.push_back(std::make_shared<const std::string>(std::move(body)));
  }
  return proposal;
}

peer_call::Answer ProposedAnswer(const raft::ProposeResult& result) {
  peer_call::Answer answer;
  peer_call::Proposed& proposed = *answer.mutable_proposed();
  proposed.set_code(static_cast<uint32_t>(result.status.code()));
  proposed.set_text(std::string(Message(result.status)));
  proposed.set_index(result.index);
  proposed.set_term(result.term);
  return answer;
}

raft::ProposeResult ResultOf(const peer_call::Proposed& proposed) {
  raft::ProposeResult result;
  result.status = absl::Status(static_cast<absl::StatusCode>(proposed.code()), proposed.text());
  result.index = proposed.index();
  result.term = proposed.term();
  return result;
}

}  // namespace holdfast::node
