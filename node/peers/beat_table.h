// node/peers/beat_table.h
// BeatTable has what each peer last told of itself (peer_call::Beat), and how long ago.
// Threads: thread-safe. Limits: one beat for each peer ever heard of; the transport knows them all.
#pragma once

#include <absl/time/time.h>

#include <map>
#include <optional>

#include "base/mutex.h"
#include "base/strong_id.h"
#include "proto/peer_call.pb.h"

namespace holdfast::node {

struct HeardBeat {
  peer_call::Beat beat;
  absl::Duration heard;  // Clock::SinceBoot().
};

class BeatTable {
 public:
  void Put(NodeId peer, peer_call::Beat beat, absl::Duration now) {
    MutexLock lock(mutex_);
    beats_[peer] = {std::move(beat), now};
  }
  std::optional<HeardBeat> Of(NodeId peer) const {
    MutexLock lock(mutex_);
    const auto found = beats_.find(peer);
    if (found == beats_.end()) return std::nullopt;
    return found->second;
  }
  std::map<NodeId, HeardBeat> All() const {
    MutexLock lock(mutex_);
    return beats_;
  }

 private:
  mutable Mutex mutex_;
  std::map<NodeId, HeardBeat> beats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::node
