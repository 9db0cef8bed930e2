#include "tests/storage/sim_disk.h"

#include "base/check.h"

namespace holdfast::raft {
namespace {

// Makes each change in an image.
struct Changer {
  SimImage& image;

  SimGroup& Group(GroupId group) {
    auto it = image.groups.find(group);
    HOLDFAST_CHECK(it != image.groups.end()) << "no group " << group << " on this disk";
    return it->second;
  }

  void operator()(const SimPutIdentity& change) { image.identity = change.identity; }
  void operator()(const SimPutNumber& change) { image.write_number = change.write_number; }
  void operator()(const SimPutRecord& change) {
    image.groups[change.record.group].record = change.record;
  }
  void operator()(const SimPutHeader& change) {
    Group(change.group).log[change.entry.index] = change.entry;
  }
  void operator()(const SimDropHeader& change) { Group(change.group).log.erase(change.index); }
  void operator()(const SimPutBody& change) {
    Group(change.key.group).bodies[{change.incarnation, change.key}] = change.body;
  }
  void operator()(const SimDropBody& change) {
    Group(change.key.group).bodies.erase({change.incarnation, change.key});
  }
  void operator()(const SimPutRow& change) {
    Group(change.group).rows[change.generation].ForChange()[change.key] = change.value;
  }
  void operator()(const SimDropRow& change) {
    Group(change.group).rows[change.generation].ForChange().erase(change.key);
  }
  void operator()(const SimDropRows& change) { Group(change.group).rows.erase(change.generation); }
  void operator()(const SimUseGeneration& change) {
    Group(change.group).generation = change.generation;
  }
  void operator()(const SimPutGarbage& change) {
    Group(change.group).garbage_through = change.through;
  }
};

void Change(SimImage& image, const std::vector<SimChange>& batch) {
  for (const SimChange& change : batch) std::visit(Changer{image}, change);
}

absl::Status Gone() {
  return MakeStatus(absl::StatusCode::kUnavailable, "the simulated disk failed");
}

}  // namespace

std::shared_ptr<const SimRows> SimGroup::KeepRows(uint64_t of_generation) const {
  static const auto none = std::make_shared<const SimRows>();
  const auto it = rows.find(of_generation);
  return it == rows.end() ? none : it->second.Keep();
}

std::optional<bool> SimDisk::FailsNow() {
  ++steps_;
  if (failed_) return false;
  if (!steps_left_) return std::nullopt;
  if (*steps_left_ > 0) {
    --*steps_left_;
    return std::nullopt;
  }
  steps_left_.reset();
  failed_ = true;
  return last_takes_effect_;
}

absl::Status SimDisk::Write(std::vector<SimChange> batch) {
  const std::optional<bool> fails = FailsNow();
  if (fails && !*fails) return Gone();
  Change(now_, batch);
  unsynced_.push_back(std::move(batch));
  return fails ? Gone() : absl::OkStatus();
}

absl::Status SimDisk::Sync() {
  if (syncs_ != Syncs::kWork && !failed_) {
    if (syncs_ == Syncs::kFailOnce) syncs_ = Syncs::kWork;
    failed_ = true;
  }
  const std::optional<bool> fails = FailsNow();
  if (fails && !*fails) return Gone();
  if (!pretend_syncs_) {
    for (const std::vector<SimChange>& batch : unsynced_) Change(durable_, batch);
    unsynced_.clear();
  }
  return fails ? Gone() : absl::OkStatus();
}

absl::Status SimDisk::PutWitness(uint64_t durable_write) {
  const std::optional<bool> fails = FailsNow();
  if (fails && !*fails) return Gone();
  witness_ = durable_write;
  return fails ? Gone() : absl::OkStatus();
}

void SimDisk::FailAt(uint64_t steps, bool takes_effect) {
  steps_left_ = steps;
  last_takes_effect_ = takes_effect;
}

void SimDisk::DontFail() {
  steps_left_.reset();
  if (syncs_ == Syncs::kFailOnce) syncs_ = Syncs::kWork;
}

void SimDisk::CutPower(size_t kept) {
  HOLDFAST_CHECK(kept <= unsynced_.size()) << kept << " of " << unsynced_.size();
  for (size_t i = 0; i < kept; ++i) Change(durable_, unsynced_[i]);
  unsynced_.clear();
  now_ = durable_;
  failed_ = false;
  steps_left_.reset();
}

void SimDisk::LoseSynced(const SimImage& earlier) {
  unsynced_.clear();
  durable_ = earlier;
  now_ = earlier;
}

void SimDisk::FailSyncs(bool for_good) { syncs_ = for_good ? Syncs::kFail : Syncs::kFailOnce; }

void SimDisk::DamageGroup(GroupId group) {
  for (SimImage* image : {&now_, &durable_}) image->groups.at(group).damaged = true;
}

absl::Status SimDisk::DamageBody(uint64_t incarnation, const BodyKey& key) {
  bool found = false;
  for (SimImage* image : {&now_, &durable_}) {
    const auto group = image->groups.find(key.group);
    if (group == image->groups.end()) continue;
    const auto body = group->second.bodies.find({incarnation, key});
    if (body == group->second.bodies.end()) continue;
    std::string bytes = *body->second.bytes;
    if (bytes.empty()) bytes.push_back('x');
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    body->second.bytes = std::make_shared<const std::string>(std::move(bytes));
    found = true;
  }
  if (found) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kNotFound, "no such body");
}

}  // namespace holdfast::raft
