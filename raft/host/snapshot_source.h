// raft/host/snapshot_source.h
// SnapshotSources answers what lagging peers pull from this node: a group's rows at one moment, and
// bodies, read from the store as the peer takes them. It remembers who pulled when, by which a
// leader tells a slow peer from one that gave up.
//
// Rows are looked at on the apply context, where no batch of the group is being written, so that
// rows and mark belong together; the wait for that is on the transport's thread.
// Threads:  thread-safe; sources run on the transport's threads and wait there: for the apply
//           context, and for their share of bytes_per_second.
// Lifetime: shared, kept alive by its sources. Store, apply context and clock must live until the
//           transport has stopped and let go of all sources.
// Errors:   kNotFound: no such group here. kResourceExhausted: sources_max. kUnavailable: a body is
//           neither here nor known to have ended. kCancelled: Stop(). kDataLoss: damage.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/context.h"
#include "base/mutex.h"
#include "base/status.h"
#include "base/strong_id.h"
#include "raft/host/rate_limit.h"
#include "raft/host/snapshot_codec.h"
#include "raft/host/snapshot_options.h"
#include "raft/storage/store.h"
#include "raft/transport/transport.h"

namespace holdfast::raft {

class SnapshotSources : public std::enable_shared_from_this<SnapshotSources> {
 public:
  // `damaged` hears of bodies that could not be given because of their checksum, on a transport's
  // thread.
  SnapshotSources(const SnapshotOptions& options, const Store& store, Context& apply,
                  const Clock& clock, std::function<void(const BodyKey&)> damaged = nullptr);

  // PeerHandler::OpenFetch().
  absl::StatusOr<std::unique_ptr<FetchSource>> Open(NodeId peer, std::string_view request);
  // Ends all sources and refuses new ones.
  void Stop();

  // When `peer` last pulled of the group, or said that it waits (Clock::SinceBoot());
  // -InfiniteDuration: never.
  absl::Duration LastAsked(NodeId peer, GroupId group) const;

 private:
  class Source;
  class RowSource;
  class BodySource;
  class NoSource;

  void NoteAsked(NodeId peer, GroupId group);
  // False when there is no place for one more.
  bool AddSource();
  void DropSource();
  bool stopping() const;
  // Waits as long as the limit wants after `bytes`, or until Stop().
  void Pace(uint64_t bytes);

  const SnapshotOptions options_;
  const Store& store_;
  Context& apply_;
  const Clock& clock_;
  const std::function<void(const BodyKey&)> damaged_;

  mutable Mutex mutex_;
  CondVar stopped_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint32_t open_ ABSL_GUARDED_BY(mutex_) = 0;
  RateLimit rate_ ABSL_GUARDED_BY(mutex_);
  // Of groups that exist and authenticated peers only, which bounds it.
  std::map<std::pair<NodeId, GroupId>, absl::Duration> asked_ ABSL_GUARDED_BY(mutex_);
};

// What to say of a body that is not in `store`: the index of an entry whose appliers don't need it.
// A body that is gone here was ended by an entry at or below what is applied here now, for rows and
// bodies change in one batch; so the applied index, read after the body was missed, says from where
// on nobody needs it. Two cases must not be taken for that, and are kUnavailable: an entry above
// the applied index (its body went because another leader's entry replaced it), and a body that was
// never here because it came elided itself, while its end is not applied yet.
absl::StatusOr<LogIndex> ElidedBy(const Store& store, const BodyKey& key);

}  // namespace holdfast::raft
