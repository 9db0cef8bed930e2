#include "node/peer_service.h"

#include <string>
#include <utility>

#include "base/text.h"
#include "node/control/control_state.h"
#include "node/peers/peer_calls.h"
#include "queue/state/command_codec.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kQuestionTimeout = absl::Seconds(2);

absl::Status CheckCommand(GroupId group, std::string_view bytes) {
  const absl::StatusOr<command::Command> command = queue::DecodeCommand(bytes);
  HOLDFAST_RETURN_IF_ERROR(command.status());
  if (ControlState::Knows(*command) == (group == kControlGroup)) return absl::OkStatus();
  return absl::InvalidArgumentError("a command of another kind of group");
}

}  // namespace

UnderWayQuestion UnderWayQuestions(PeerRoom& room) {
  return [&room](NodeId node, GroupId group, uint64_t boot_id, std::vector<uint64_t> attempts,
                 std::function<void(absl::StatusOr<std::vector<uint64_t>>)> done) {
    peer_call::Request question;
    peer_call::UnderWay& under_way = *question.mutable_under_way();
    under_way.set_group(group.value());
    under_way.set_boot_id(boot_id);
    for (const uint64_t attempt : attempts) under_way.add_attempt_ids(attempt);
    room.Call(node, EncodeRequest(std::move(question)), kQuestionTimeout,
              [done](const absl::StatusOr<std::string>& bytes) {
                if (!bytes.ok()) return done(bytes.status());
                const absl::StatusOr<peer_call::Answer> answer = DecodeAnswer(*bytes);
                if (!answer.ok()) return done(answer.status());
                const auto& ids = answer->under_way().attempt_ids();
                done(std::vector<uint64_t>(ids.begin(), ids.end()));
              });
  };
}

void ServePeers(const PeerServiceParts& parts, PeerGate& gate) {
  gate.Serve(peer_call::Request::kPropose, [parts](NodeId, peer_call::Request request, auto reply) {
    const GroupId group{request.propose().group()};
    // Once committed, a command that can't be applied would end every node.
    if (absl::Status known = CheckCommand(group, request.propose().command()); !known.ok()) {
      reply(known);
      return;
    }
    parts.host.Propose(
        group, TakeProposal(*request.mutable_propose()),
        [reply](const raft::ProposeResult& result) { reply(ProposedAnswer(result)); });
  });
  gate.Serve(peer_call::Request::kUnderWay, [parts](NodeId, peer_call::Request request,
                                                    auto reply) {
    parts.apply_context.Post([parts, asked = request.under_way(), reply] {
      if (asked.group() < 1 || asked.group() > parts.duties.size()) {
        reply(absl::NotFoundError("no such group"));
        return;
      }
      peer_call::Answer answer;
      const std::vector<uint64_t> attempts(asked.attempt_ids().begin(), asked.attempt_ids().end());
      for (const uint64_t one :
           parts.duties[asked.group() - 1]->UnderWay(asked.boot_id(), attempts)) {
        answer.mutable_under_way()->add_attempt_ids(one);
      }
      answer.mutable_under_way();
      reply(std::move(answer));
    });
  });
  gate.Serve(
      peer_call::Request::kHandOver, [parts](NodeId peer, peer_call::Request request, auto reply) {
        const peer_call::HandOver& asked = request.hand_over();
        const absl::Status begun =
            parts.cluster.HandOverOnRequest(GroupId{asked.group()}, NodeId{asked.to_node_id()},
                                            format("node {} asked for it", peer.value()));
        if (!begun.ok()) return reply(begun);
        peer_call::Answer answer;
        answer.mutable_hand_over();
        reply(std::move(answer));
      });
  gate.Serve(peer_call::Request::kShares,
             [parts](NodeId peer, peer_call::Request request, auto reply) {
               parts.shares.OnAsks(peer, std::move(*request.mutable_shares()), std::move(reply));
             });
  gate.Serve(peer_call::Request::kDidYouSee,
             [parts](NodeId, peer_call::Request request, auto reply) {
               parts.replays.Answer(std::move(*request.mutable_did_you_see()),
                                    [reply](peer_call::DidYouSee said) {
                                      peer_call::Answer answer;
                                      *answer.mutable_did_you_see() = std::move(said);
                                      reply(std::move(answer));
                                    });
             });
  gate.Serve(peer_call::Request::kJoin,
             [parts](NodeId peer, peer_call::Request request, auto reply) {
               parts.verbs.Admit(peer, request.join().token(), std::move(reply));
             });
}

}  // namespace holdfast::node
