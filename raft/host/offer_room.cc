#include "raft/host/offer_room.h"

#include <optional>
#include <utility>

#include "base/crc32c.h"

namespace holdfast::raft {

absl::StatusOr<Answer> OfferRoom::Reserve(Replica& replica, uint64_t bytes) {
  std::optional<ByteBudget::Reservation> group = replica.undecided_bytes().TryReserve(bytes);
  std::optional<ByteBudget::Reservation> total = undecided_bytes_.TryReserve(bytes);
  std::optional<ByteBudget::Reservation> count = undecided_proposals_.TryReserve(1);
  if (!group || !total || !count) {
    return MakeStatus(
        absl::StatusCode::kResourceExhausted,
        "group {}: too much is undecided: {} of {} bytes here, {} of {} in all, {} of "
        "{} proposals",
        replica.group().value(), replica.undecided_bytes().used_bytes(),
        replica.undecided_bytes().bytes_max(), undecided_bytes_.used_bytes(),
        undecided_bytes_.bytes_max(), undecided_proposals_.used_bytes(),
        undecided_proposals_.bytes_max());
  }
  Answer answer;
  answer.group_bytes = *std::move(group);
  answer.total_bytes = *std::move(total);
  answer.total_count = *std::move(count);
  return answer;
}

absl::StatusOr<Offer> OfferRoom::MakeOffer(Replica& replica, Proposal& proposal) {
  uint64_t bytes = proposal.command.size();
  for (const Body& body : proposal.bodies) {
    if (body == nullptr) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, "a body without bytes");
    }
    bytes += body->size();
  }
  if (proposal.command.empty() || proposal.command.size() > options_.command_bytes_max ||
      bytes > options_.entry_bytes_max || proposal.bodies.size() > options_.entry_bodies_max) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "a proposal of {} command bytes, {} bodies, {} bytes in all",
                      proposal.command.size(), proposal.bodies.size(), bytes);
  }
  HOLDFAST_ASSIGN_OR_RETURN(Answer answer, Reserve(replica, bytes));
  Offer offer;
  offer.entry.command = std::move(proposal.command);
  for (Body& body : proposal.bodies) {
    Payload payload;
    payload.size = static_cast<uint32_t>(body->size());
    payload.crc32c = Crc32c(*body);  // Here, on the proposer's thread.
    payload.bytes = std::move(body);
    offer.entry.bodies.push_back(std::move(payload));
  }
  offer.answer = std::move(answer);
  return offer;
}

}  // namespace holdfast::raft
