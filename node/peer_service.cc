#include "node/peer_service.h"

#include <string>
#include <utility>

#include "base/text.h"
#include "node/queue_service.h"

namespace holdfast::node {

void ServePeers(const PeerServiceParts& parts, PeerGate& gate) {
  ServeQueue({parts.host, parts.apply_context, parts.duties}, gate);
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
