#include "raft/host/fill_bodies.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "raft/host/snapshot_source.h"

namespace holdfast::raft {
namespace {

absl::Status FillBody(const Store& store, HostMutation mutation, const BodyKey& key,
                      Payload& body) {
  absl::StatusOr<Body> bytes = store.ReadBody(key);
  if (bytes.ok()) {
    body.bytes = *std::move(bytes);
    return absl::OkStatus();
  }
  if (bytes.status().code() != absl::StatusCode::kNotFound) return bytes.status();
  absl::StatusOr<LogIndex> ended_by = ElidedBy(store, key);
  if (mutation == HostMutation::kElideUnapplied && !ended_by.ok()) {
    ended_by = store.LoadGroup(key.group)->applied;
  }
  HOLDFAST_RETURN_IF_ERROR(ended_by.status());
  body.elided_by = mutation == HostMutation::kElideWithoutIndex ? key.index : *ended_by;
  return absl::OkStatus();
}

// The log has the entry, and nothing that is applied here, or was when a leader sent it, can have
// ended the body.
bool MustBeHere(const Store& store, const BodyKey& key) {
  const absl::StatusOr<GroupRecord> record = store.LoadGroup(key.group);
  if (!record.ok() || std::max(record->applied, record->elided_through) >= key.index) return false;
  const absl::StatusOr<std::vector<Entry>> entries =
      store.ReadEntries(key.group, key.index, key.index + 1, 1);
  return entries.ok() && !entries->empty() && entries->front().term == key.term;
}

void Mend(const Store& store, BodyMender& mender, const BodyLost& lost, const BodyRef& ref) {
  const BodyKey key = ref.key;
  const bool missing = absl::IsNotFound(store.ReadBody(key).status());
  if (missing && !MustBeHere(store, key)) return;  // Its end will be known here soon.
  mender.Mend(
      ref, [&store, key] { return MustBeHere(store, key); },
      [lost, key](const absl::Status& mended) {
        if (absl::IsNotFound(mended) || absl::IsUnavailable(mended)) lost(key, mended);
      });
}

}  // namespace

absl::Status FillBodies(const Store& store, HostMutation mutation, BodyMender& mender,
                        const BodyLost& lost, GroupId group, Message& message) {
  for (Entry& entry : message.entries) {
    for (uint32_t ordinal = 0; ordinal < entry.bodies.size(); ++ordinal) {
      Payload& body = entry.bodies[ordinal];
      if (body.bytes != nullptr || body.elided_by != 0) continue;
      const BodyKey key{group, entry.index, entry.term, ordinal};
      absl::Status filled = FillBody(store, mutation, key, body);
      if (filled.ok()) continue;
      // The message is lost; the next one will find it.
      Mend(store, mender, lost, BodyRef{key, body.size, body.crc32c});
      return filled;
    }
  }
  return absl::OkStatus();
}

}  // namespace holdfast::raft
