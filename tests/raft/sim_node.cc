#include "tests/raft/sim_node.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/text.h"

namespace holdfast::raft_test {
namespace {

using raft::AppendTask;
using raft::ConfState;
using raft::Entry;
using raft::LogIndex;
using raft::Message;
using raft::Ready;
using raft::Snapshot;

// The state machine: a hash over all commands in order.
uint64_t Advance(uint64_t hash, const Entry& entry) {
  return (hash ^ Crc32c(entry.command, static_cast<uint32_t>(entry.term))) * 0x9E3779B97F4A7C15ull +
         entry.index;
}

}  // namespace

SimNode::SimNode(const raft::RaftOptions& options, const ConfState& initial, SimChecker& checker)
    : options_(options), checker_(checker) {
  if (!initial.empty()) {
    disk_.Install({1, 1, initial, ""});
    applied_ = stored_applied_ = 1;
  }
  marks_[applied_] = {state_hash_, initial};
  Open();
}

void SimNode::Open() {
  options_.applied = applied_;
  disk_.set_conf_state(marks_.at(applied_).conf_state);
  view_ = std::make_unique<MemoryLog>(disk_);
  OfferSnapshot();
  core_ = std::make_unique<raft::RaftCore>(options_, *view_);
}

void SimNode::OfferSnapshot() {
  const Mark& now = marks_.at(applied_);
  if (const auto term = view_->TermAt(applied_)) {
    view_->set_latest_snapshot({applied_, *term, now.conf_state, std::to_string(now.hash)});
  }
}

std::vector<Message> SimNode::TakeReady() {
  Ready ready = core_->TakeReady();
  for (const raft::ReadState& read : ready.read_states) {
    uint64_t number = 0;
    std::from_chars(read.context.data(), read.context.data() + read.context.size(), number);
    auto found = reads_.find(number);
    if (found == reads_.end()) continue;
    checker_.OnRead(found->second, read.index);
    reads_.erase(found);
  }
  if (ready.append) writes_.push_back(*std::move(ready.append));
  if (ready.apply) applies_.push_back(*std::move(ready.apply));
  return std::move(ready.send_now);
}

void SimNode::ToDisk(const AppendTask& task) {
  if (task.snapshot) {
    // Log and state machine begin anew together, in one atomic write.
    stored_applied_ = task.snapshot->index;
  }
  disk_.Write(task);
  for (const Entry& entry : task.entries) {
    checker_.OnStored(id(), disk_.TermAt(entry.index - 1).value_or(0), entry);
  }
}

std::vector<Message> SimNode::FinishWrite() {
  if (writes_.empty()) return {};
  AppendTask task = std::move(writes_.front());
  writes_.pop_front();
  view_->Write(task);
  std::vector<Message> responses = std::move(task.responses);
  const bool sync = task.must_sync;
  const std::shared_ptr<const Snapshot> snapshot = task.snapshot;
  unsynced_.push_back(std::move(task));
  if (sync) {
    for (const AppendTask& write : unsynced_) ToDisk(write);
    unsynced_.clear();
  }
  if (snapshot) {
    InstallInMachine(*snapshot);
    OfferSnapshot();
  }
  return core_->AppendDone(std::move(responses));
}

void SimNode::InstallInMachine(const Snapshot& snapshot) {
  if (snapshot.index <= applied_) return;
  applied_ = snapshot.index;
  state_hash_ = 0;
  std::from_chars(snapshot.data.data(), snapshot.data.data() + snapshot.data.size(), state_hash_);
  marks_.clear();
  marks_[applied_] = {state_hash_, snapshot.conf_state};
}

void SimNode::ApplyEntry(const Entry& entry) {
  ConfState conf_state = marks_.at(applied_).conf_state;
  checker_.OnApplied(id(), core_->term(), entry);
  state_hash_ = Advance(state_hash_, entry);
  applied_ = entry.index;
  if (entry.type != raft::EntryType::kNormal) conf_state = core_->ApplyConfEntry(entry);
  marks_[applied_] = {state_hash_, std::move(conf_state)};
}

void SimNode::FinishApply() {
  if (applies_.empty()) return;
  const raft::ApplyTask task = std::move(applies_.front());
  applies_.pop_front();
  for (const Entry& entry : task.entries) {
    // A snapshot may have overtaken the task.
    if (entry.index == applied_ + 1) ApplyEntry(entry);
  }
  core_->ApplyDone(task.done);
  OfferSnapshot();
}

void SimNode::Compact(uint64_t keep) {
  // Never beyond what the stored state machine has: the log is what it will be rebuilt from.
  stored_applied_ = std::max(stored_applied_, std::min(applied_, disk_.LastIndex()));
  marks_.erase(marks_.begin(), marks_.lower_bound(stored_applied_));
  const LogIndex to = stored_applied_ > keep ? stored_applied_ - keep : 0;
  if (to < disk_.FirstIndex() || to > disk_.LastIndex() || to > view_->LastIndex()) return;
  (void)disk_.CompactTo(to);  // Both refuse what is compacted already.
  (void)view_->CompactTo(to);
}

void SimNode::Read(uint64_t number) {
  const LogIndex committed = checker_.committed();
  if (core_->ReadIndex(std::to_string(number)).ok()) reads_[number] = committed;
}

void SimNode::Crash(Random& luck) {
  core_.reset();
  std::vector<AppendTask> lost = std::move(unsynced_);
  lost.insert(lost.end(), std::make_move_iterator(writes_.begin()),
              std::make_move_iterator(writes_.end()));
  unsynced_.clear();
  writes_.clear();
  applies_.clear();
  reads_.clear();
  const uint64_t kept = luck.Below(lost.size() + 1);
  for (uint64_t i = 0; i < kept; ++i) {
    ToDisk(lost[i]);
    if (lost[i].snapshot) InstallInMachine(*lost[i].snapshot);
  }
  // Rows are stored now and then, never ahead of the log.
  const LogIndex newest = std::min(applied_, disk_.LastIndex());
  if (newest > stored_applied_) stored_applied_ += luck.Below(newest - stored_applied_ + 1);
  applied_ = stored_applied_;
  state_hash_ = marks_.at(applied_).hash;
  marks_.erase(marks_.upper_bound(applied_), marks_.end());
}

void SimNode::Restart(uint64_t seed) {
  options_.seed = seed;
  Open();
}

}  // namespace holdfast::raft_test
