#include "node/queue_service.h"

#include <string>
#include <utility>

#include "node/backend/fresh_rows.h"
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

UnderWayQuestion UnderWayQuestions(PeerCaller call) {
  return [call = std::move(call)](NodeId node, GroupId group, uint64_t boot_id,
                                  std::vector<uint64_t> attempts,
                                  std::function<void(absl::StatusOr<std::vector<uint64_t>>)> done) {
    peer_call::Request question;
    peer_call::UnderWay& under_way = *question.mutable_under_way();
    under_way.set_group(group.value());
    under_way.set_boot_id(boot_id);
    for (const uint64_t attempt : attempts) under_way.add_attempt_ids(attempt);
    call(node, EncodeRequest(std::move(question)), kQuestionTimeout,
         [done](const absl::StatusOr<std::string>& bytes) {
           if (!bytes.ok()) return done(bytes.status());
           const absl::StatusOr<peer_call::Answer> answer = DecodeAnswer(*bytes);
           if (!answer.ok()) return done(answer.status());
           const auto& ids = answer->under_way().attempt_ids();
           done(std::vector<uint64_t>(ids.begin(), ids.end()));
         });
  };
}

void ServeQueue(const QueueServiceParts& parts, PeerGate& gate) {
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
  gate.Serve(peer_call::Request::kReadPoint,
             [parts](NodeId, peer_call::Request request, auto reply) {
               AnswerReadPoint(parts.host, GroupId{request.read_point().group()}, std::move(reply));
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
}

}  // namespace holdfast::node
