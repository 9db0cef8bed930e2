#include "node/groups/queue_machine.h"

#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "node/groups/group_tables.h"
#include "proto/command.pb.h"
#include "queue/state/command_codec.h"
#include "queue/state/row_bodies.h"
#include "queue/state/rows.h"

namespace holdfast::node {

std::string QueueMachine::Name() const { return format("group {}", group_.value()); }

absl::Status QueueMachine::Load() const { return level_.Check(duties_.StateVersion(), Name()); }

absl::Status QueueMachine::Apply(const raft::CommittedEntry& entry, raft::StateBatch& batch) {
  const absl::StatusOr<command::Command> command = queue::DecodeCommand(entry.command);
  HOLDFAST_CHECK(command.ok()) << "group " << group_ << ", entry " << entry.index << ": "
                               << command.status()
                               << ": this build can't go on without forking the cluster";
  std::vector<queue::BodyRef> bodies;
  bodies.reserve(entry.bodies.size());
  for (const raft::BodyRef& body : entry.bodies) {
    bodies.push_back({body.key.index, body.key.term, body.key.ordinal, body.bytes, body.crc32c});
  }
  GroupTables tables(batch);
  if (command->has_raise_state_version()) {
    const uint32_t version = command->raise_state_version().version();
    if (version > queue::ReadStateVersion(tables).value_or(version)) {
      HOLDFAST_RETURN_IF_ERROR(level_.CheckOrEnd(version, Name()));
    }
  }
  queue::ApplyResult result = state_.Apply(entry.index, entry.term, *command, bodies, tables);
  HOLDFAST_CHECK(tables.status().ok()) << "queue rows: " << tables.status();
  for (const queue::BodyRef& body : result.ended_bodies) {
    batch.DeleteBody({group_, body.index, body.term, body.ordinal});
  }
  if (duties_.mutation() == NodeMutation::kEndBodyWithEnqueue && !bodies.empty()) {
    batch.DeleteBody(entry.bodies.front().key);
  }
  std::move(result.events.begin(), result.events.end(), std::back_inserter(events_));
  return std::move(result.verdict);
}

void QueueMachine::OnCommitted(raft::LogIndex /*last*/) {
  if (duties_.leads()) log_.Write(events_);
  duties_.OnEvents(events_);
  events_.clear();
  if (duties_.leads()) duties_.Run();
}

void QueueMachine::OnLeaderChange(bool leader, raft::Term /*term*/) {
  duties_.OnLeaderChange(leader);
  leaders_.Set(group_, leader);
}

absl::Status QueueMachine::LiveBodies(const raft::StateReader& rows,
                                      const BodyVisitor& visit) const {
  const GroupReader reader(rows);
  return queue::VisitRowBodies(reader, [&](const queue::BodyRef& body) {
    return visit({{group_, body.index, body.term, body.ordinal}, body.bytes, body.crc32c});
  });
}

// Everything else that is remembered of the rows belongs to a leader, who reads them anew when its
// time begins.
void QueueMachine::OnSnapshotInstalled(raft::LogIndex /*last*/) {
  HOLDFAST_CHECK(!duties_.leads()) << "group " << group_ << ": a leader was sent a snapshot";
  events_.clear();
  // Returns where the node takes a moment to end.
  (void)level_.CheckOrEnd(duties_.StateVersion(), Name());
}

}  // namespace holdfast::node
