// raft/host/snapshot_options.h
// Bounds of snapshots, on both sides. See snapshot_source.h and snapshot_pull.h.
// Threads: values.
#pragma once

#include <absl/time/time.h>

#include <cstdint>

namespace holdfast::raft {

struct SnapshotOptions {
  // What this node sends to all peers together; 0: no limit.
  uint64_t bytes_per_second = uint64_t{64} << 20;
  // Answers to pulls that are open here at a time; kResourceExhausted beyond.
  uint32_t sources_max = 4;
  // Length of one piece; at most kFetchPieceBytesMax.
  uint64_t piece_bytes_max = uint64_t{1} << 20;
  // Rows of one record, at least one.
  uint64_t rows_bytes = uint64_t{256} << 10;

  // Bodies of one request, asked for and answered.
  uint32_t request_keys_max = 256;
  uint64_t request_body_bytes_max = uint64_t{16} << 20;
  // One record, taken: a body of the largest entry, or rows, with their framing.
  uint64_t record_bytes_max = uint64_t{16} << 20;
  // Lacking bodies that a pull has in mind at a time; it looks again for more.
  uint64_t missing_bodies_max = 100'000;

  // A leader takes its snapshot for failed when the peer has pulled nothing, and did not say that
  // it waits, for so long.
  absl::Duration patience = absl::Seconds(10);
  // A leader keeps so many times the usual log while a peer has a snapshot to pull, so that the log
  // still reaches back to it afterwards.
  uint64_t log_kept_times = 8;
  // How often a node that waits, or is busy with what it has pulled, says so.
  absl::Duration waiting_interval = absl::Seconds(1);

  // Damaged bodies that are fetched from other members at a time, and how long after one could not
  // be had it is asked for again.
  uint32_t mends_max = 16;
  absl::Duration mend_pause = absl::Seconds(5);

  // Bodies looked at in one slice of a collection of garbage; each is read, and syncs wait
  // meanwhile.
  uint64_t garbage_steps = 64;
};

}  // namespace holdfast::raft
