#include "raft/host/snapshot_intake.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace holdfast::raft {

// Takes the answer to a keep-alive, which has no contents.
class SnapshotIntake::WaitingSink final : public FetchSink {
 public:
  explicit WaitingSink(std::shared_ptr<std::atomic<bool>> asking) : asking_(std::move(asking)) {}
  absl::Status OnPiece(std::string) override {
    return absl::InvalidArgumentError("an answer to a keep-alive");
  }
  void OnDone(const absl::Status&) override { *asking_ = false; }

 private:
  const std::shared_ptr<std::atomic<bool>> asking_;
};

void SnapshotIntake::Want(GroupId group, NodeId from, Term term) {
  if (stopping_) return;
  if (active_ && active_->group == group) {
    if (active_->offer.from == from || active_->pull == nullptr) return;
    // Another leader. What is being pulled could not be acknowledged to it.
    active_->pull->Cancel();
    ending_.emplace_back(group, std::move(active_->pull));
    active_.reset();
  }
  const auto [place, fresh] = waiting_.try_emplace(group, Offer{from, term, ++offers_});
  if (!fresh) {
    place->second.from = from;
    place->second.term = term;
  }
  Next();
}

bool SnapshotIntake::Released(GroupId group) {
  std::erase_if(ending_, [](const auto& item) { return item.second->released(); });
  return std::none_of(ending_.begin(), ending_.end(),
                      [group](const auto& item) { return item.first == group; });
}

void SnapshotIntake::Next() {
  if (stopping_) return;
  if (!active_) {
    auto next = waiting_.end();
    for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
      if (collecting_ == it->first || !Released(it->first)) continue;
      if (next == waiting_.end() || it->second.number < next->second.number) next = it;
    }
    if (next != waiting_.end()) {
      const GroupId group = next->first;
      const Offer offer = next->second;
      waiting_.erase(next);
      Begin(group, offer);
    }
  }
  if (collecting_) return;
  for (const GroupId group : garbage_) {
    if (Receives(group) || !Released(group)) continue;
    garbage_.erase(group);
    collecting_ = group;
    effects_.Collect(group);
    return;
  }
}

void SnapshotIntake::Begin(GroupId group, const Offer& offer) {
  ++pulls_begun_;
  Log(LogLevel::kInfo, "snapshot_pull", {{"group", group.value()}, {"from", offer.from.value()}});
  auto done = [this, number = offer.number](absl::StatusOr<PulledSnapshot> pulled,
                                            const PullCounts& counts) {
    auto shared = std::make_shared<absl::StatusOr<PulledSnapshot>>(std::move(pulled));
    effects_.Later([this, number, shared, counts] { Pulled(number, *shared, counts); });
  };
  active_ =
      Active{group, offer,
             std::make_shared<SnapshotPull>(
                 SnapshotPull::Parts{store_, transport_, effects_.MachineOf(group), forget_rows_},
                 options_, group, offer.from, std::move(done))};
  active_->pull->Start();
}

void SnapshotIntake::Pulled(uint64_t number, absl::StatusOr<PulledSnapshot>& pulled,
                            const PullCounts& counts) {
  // An answer of a pull that was cancelled in the same moment takes its generation with it.
  if (stopping_ || !active_ || active_->offer.number != number) {
    pulled = absl::CancelledError("not wanted any more");
    return;
  }
  const GroupId group = active_->group;
  if (!pulled.ok()) {
    Log(LogLevel::kWarn, "snapshot_failed",
        {{"group", group.value()},
         {"from", active_->offer.from.value()},
         {"reason", holdfast::Message(pulled.status())}});
    active_.reset();
    Next();
    return;
  }
  Log(LogLevel::kInfo, "snapshot_pulled",
      {{"group", group.value()},
       {"from", active_->offer.from.value()},
       {"index", pulled->mark.index},
       {"rows", counts.rows},
       {"bodies_kept", counts.bodies_kept},
       {"bodies_fetched", counts.bodies_fetched},
       {"bodies_elided", counts.bodies_elided},
       {"bytes_fetched", counts.body_bytes_fetched}});
  active_->pull = nullptr;
  effects_.GivePulled(*std::move(pulled));
}

void SnapshotIntake::Over(GroupId group, bool installed) {
  if (installed) garbage_kept_.erase(group);
  if (installed && keep_abandoned_) garbage_.insert(group);
  if (!active_ || active_->group != group) return;
  active_.reset();
  // Not from inside the replica.
  effects_.Later([this] { Next(); });
}

// Bodies of a pull that was given up become garbage when the log has brought the group as far as
// they reach: nobody tells of that.
void SnapshotIntake::LookForGarbage() {
  for (const GroupId group : store_.groups()) {
    if (collecting_ == group || garbage_kept_.contains(group)) continue;
    if (store_.GarbagePending(group)) garbage_.insert(group);
  }
}

void SnapshotIntake::GarbageCollected(GroupId group, bool clean) {
  if (collecting_ == group) collecting_.reset();
  if (!clean) garbage_kept_.insert(group);
  Next();
}

void SnapshotIntake::Tick(absl::Duration now) {
  if (!keep_abandoned_) LookForGarbage();
  if (!waiting_.empty() || !garbage_.empty()) Next();  // A cancelled pull may have let go.
  if (now < next_word_) return;
  next_word_ = now + options_.waiting_interval;
  SayWaiting();
}

void SnapshotIntake::SayWaiting() {
  std::map<NodeId, WaitingRequest> words;
  for (const auto& [group, offer] : waiting_) words[offer.from].groups.push_back(group);
  if (active_) words[active_->offer.from].groups.push_back(active_->group);
  for (const auto& [node, word] : words) {
    std::shared_ptr<std::atomic<bool>>& asking = asking_[node];
    if (asking == nullptr) asking = std::make_shared<std::atomic<bool>>(false);
    if (asking->exchange(true)) continue;
    transport_.Fetch(node, EncodeSnapshotRequest(word), std::make_shared<WaitingSink>(asking));
  }
}

void SnapshotIntake::Stop() {
  stopping_ = true;
  if (active_ && active_->pull) active_->pull->Cancel();
  active_.reset();
  waiting_.clear();
}

bool SnapshotIntake::Receives(GroupId group) const {
  return waiting_.contains(group) || (active_ && active_->group == group);
}

}  // namespace holdfast::raft
