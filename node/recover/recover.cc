#include "node/recover/recover.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "node/amnesia.h"
#include "node/config/process.h"
#include "node/groups/control_machine.h"
#include "node/groups/group_tables.h"
#include "node/node_store.h"
#include "node/peers/forming_file.h"
#include "proto/command.pb.h"
#include "queue/queue_view.h"
#include "queue/state/command_codec.h"
#include "raft/host/group_host.h"
#include "raft/storage/rocksdb_store.h"
#include "raft/storage/sole_voter.h"

namespace holdfast::node {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr size_t kAnswerBytesMax = 256;

struct Replica {
  GroupId group;
  raft::GroupRecord record;
  LogEnd end;
  uint64_t messages = 0;
};

// What the stopped store has.
struct Survivor {
  raft::StoreIdentity identity;
  std::vector<Replica> replicas;
  uint64_t messages = 0;
  // Everybody else who belongs to any group, or was added to the cluster.
  std::set<NodeId> others;
  bool sole_voter = true;  // Of every group already.
};

absl::StatusOr<Replica> ReadReplica(const raft::Store& store, GroupId group) {
  Replica replica;
  replica.group = group;
  HOLDFAST_ASSIGN_OR_RETURN(replica.record, store.LoadGroup(group));
  const raft::GroupRecord& record = replica.record;
  replica.end = {record.truncated_term, record.truncated};
  if (record.last > record.truncated) {
    HOLDFAST_ASSIGN_OR_RETURN(
        const std::vector<raft::Entry> entries,
        store.ReadEntries(group, record.last, record.last + 1, /*bytes_max=*/1));
    replica.end = {entries.front().term, record.last};
  }
  if (group == kControlGroup) return replica;
  const std::unique_ptr<raft::StateReader> rows = store.Reader(group);
  HOLDFAST_ASSIGN_OR_RETURN(const queue::Totals totals, queue::QueueTotals(GroupReader(*rows)));
  replica.messages = totals.messages;
  return replica;
}

absl::StatusOr<Survivor> ReadSurvivor(const raft::Store& store) {
  Survivor survivor;
  survivor.identity = store.identity();
  const NodeId self = survivor.identity.node;
  for (const GroupId group : store.groups()) {
    absl::StatusOr<Replica> replica = ReadReplica(store, group);
    if (!replica.ok()) return Annotate(replica.status(), format("group {}", group.value()));
    const raft::ConfState& members = replica->record.conf_state;
    for (const auto* list :
         {&members.voters, &members.learners, &members.voters_outgoing, &members.learners_next}) {
      survivor.others.insert(list->begin(), list->end());
    }
    survivor.sole_voter &= members.voters == std::vector<NodeId>{self} &&
                           members.voters_outgoing.empty() && members.learners.empty();
    survivor.messages += replica->messages;
    survivor.replicas.push_back(*std::move(replica));
  }
  const std::unique_ptr<raft::StateReader> rows = store.Reader(kControlGroup);
  for (const NodeRow& row : ReadNodes(*rows)) {
    if (row.node == self && row.removed) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition,
                        "node {} was removed from this cluster: what it has is old", self.value());
    }
    if (row.removed) {
      survivor.others.erase(row.node);
    } else {
      survivor.others.insert(row.node);
    }
  }
  survivor.others.erase(self);
  return survivor;
}

std::string NodesText(const std::set<NodeId>& nodes) {
  std::string text;
  for (const NodeId node : nodes) text += format("{}{}", text.empty() ? "" : ", ", node.value());
  return text.empty() ? "none" : text;
}

std::string MembersText(const raft::ConfState& members) {
  std::set<NodeId> voters(members.voters.begin(), members.voters.end());
  voters.insert(members.voters_outgoing.begin(), members.voters_outgoing.end());
  return NodesText(voters);
}

Position PositionOf(const Survivor& survivor) {
  Position position;
  position.node = survivor.identity.node;
  for (const Replica& replica : survivor.replicas) position.ends[replica.group] = replica.end;
  return position;
}

void Show(const Survivor& survivor, std::ostream& out) {
  out << format("node {} of cluster {}; the other members: {}\n\n", survivor.identity.node.value(),
                survivor.identity.cluster_id, NodesText(survivor.others));
  out << format("{:>7}  {:>6}  {:>12}  {:>12}  {:>12}  {:>12}  {}\n", "GROUP", "TERM", "LAST ENTRY",
                "COMMITTED", "APPLIED", "MESSAGES", "VOTERS");
  for (const Replica& replica : survivor.replicas) {
    const std::string group =
        replica.group == kControlGroup ? "control" : format("{}", replica.group.value());
    out << format("{:>7}  {:>6}  {:>12}  {:>12}  {:>12}  {:>12}  {}\n", group, replica.end.term,
                  replica.end.index, replica.record.hard_state.commit, replica.record.applied,
                  replica.messages, MembersText(replica.record.conf_state));
  }
  out << format("\n{} messages are queued here.\nposition: {}\n", survivor.messages,
                PositionOf(survivor).ToText());
}

void CompareWith(const Position& ours, const Position& other, std::ostream& out) {
  size_t ahead = 0;
  size_t behind = 0;
  for (const auto& [group, end] : ours.ends) {
    const auto found = other.ends.find(group);
    const LogEnd theirs = found == other.ends.end() ? LogEnd{} : found->second;
    if (end == theirs) continue;
    ++(end > theirs ? ahead : behind);
    out << format("group {}: node {} has the longer log ({}/{}, node {} has {}/{})\n",
                  group.value(), (end > theirs ? ours : other).node.value(),
                  std::max(end, theirs).term, std::max(end, theirs).index,
                  (end > theirs ? other : ours).node.value(), std::min(end, theirs).term,
                  std::min(end, theirs).index);
  }
  out << format("beside node {}: longer in {} groups here, in {} there, equal in {}\n",
                other.node.value(), ahead, behind, ours.ends.size() - ahead - behind);
}

absl::StatusOr<std::string> RemoveCommand(NodeId node, absl::Time now) {
  command::Command command;
  command::RemoveNode& remove = *command.mutable_remove_node();
  remove.set_node_id(node.value());
  remove.set_actor("recover");
  remove.set_reason("lost with a majority of the cluster");
  remove.set_stamped_us(absl::ToUnixMicros(now));
  return queue::EncodeCommand(std::move(command));
}

// The incarnation first: a node that has it and is not alone yet hears nobody, and harms nobody.
absl::Status Recover(const NodeSettings& settings, const Survivor& survivor, const Clock& clock,
                     std::string* incarnation) {
  HOLDFAST_ASSIGN_OR_RETURN(std::optional<FormingRecord> record,
                            ReadFormingRecord(settings.data_dir));
  if (!record) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "{} is missing: this is no directory of a node that began in a cluster",
                      FormingFile(settings.data_dir));
  }
  std::vector<std::string> commands;
  for (const NodeId node : survivor.others) {
    HOLDFAST_ASSIGN_OR_RETURN(std::string bytes, RemoveCommand(node, clock.Now()));
    commands.push_back(std::move(bytes));
  }
  record->incarnation = raft::NewClusterId();
  *incarnation = record->incarnation;
  HOLDFAST_RETURN_IF_ERROR(WriteFormingRecord(settings.data_dir, *record));
  return raft::MakeSoleVoter(NodeStoreOptions(settings, clock), {{kControlGroup, commands}})
      .status();
}

bool Confirm(const Survivor& survivor, const RecoverOptions& options,
             const RecoverStreams& streams) {
  const std::string& id = survivor.identity.cluster_id;
  streams.out << format(
      "\nThis makes node {0} alone the cluster {1}.\n"
      "LOST FOR GOOD: every message that was accepted and reached only nodes {2}: entries behind\n"
      "LAST ENTRY above, in each group. Senders had their 250 for them and will not send them "
      "again.\n"
      "REPEATED, perhaps: mail that the others delivered after what this node has heard of.\n"
      "The data directories of nodes {2} must never be used again: empty them, and let the nodes\n"
      "join under new ids. If any majority of the old nodes can still be started, stop here.\n",
      survivor.identity.node.value(), id, NodesText(survivor.others));
  if (!options.yes_accept_loss.empty()) {
    if (options.yes_accept_loss == id) return true;
    streams.err << format("holdfastd: --yes-i-accept-loss={} is not this cluster's id, {}\n",
                          options.yes_accept_loss, id);
    return false;
  }
  streams.out << format("Type the cluster's id ({}) to accept that loss: ", id) << std::flush;
  std::string answer;
  while (answer.size() < kAnswerBytesMax) {
    const int next = streams.in.get();
    if (next == std::char_traits<char>::eof() || next == '\n') break;
    answer += static_cast<char>(next);
  }
  if (answer == id) return true;
  streams.err << "holdfastd: that is not the cluster's id: nothing was changed\n";
  return false;
}

int Fail(const RecoverStreams& streams, const absl::Status& status) {
  streams.err << format("holdfastd: {}\n", Message(status));
  return kFailed;
}

absl::StatusOr<Survivor> Look(const NodeSettings& settings, const Clock& clock) {
  if (!settings.cluster) {
    return absl::FailedPreconditionError(
        "this node is alone: there is no majority that it could have lost");
  }
  // What is written here must stay readable for the node.
  if (geteuid() == 0) HOLDFAST_RETURN_IF_ERROR(DropPrivileges(settings.user));
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, NodeStoreExists(settings, clock));
  if (!exists) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "{} holds no store: nothing survived here", settings.data_dir);
  }
  absl::StatusOr<std::unique_ptr<raft::Store>> store =
      raft::OpenStore(NodeStoreOptions(settings, clock));
  if (!store.ok()) {
    return Annotate(store.status(), format("{} (the node must be stopped)", settings.data_dir));
  }
  HOLDFAST_ASSIGN_OR_RETURN(Survivor survivor, ReadSurvivor(**store));
  HOLDFAST_RETURN_IF_ERROR((*store)->Close());
  if (survivor.identity.node != settings.node_id) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "{} belongs to node {}, but node_id is {}", settings.data_dir,
                      survivor.identity.node.value(), settings.node_id.value());
  }
  return survivor;
}

}  // namespace

std::string Position::ToText() const {
  std::string text = format("node {}:", node.value());
  for (const auto& [group, end] : ends) {
    text += format(" {}:{}/{}", group.value(), end.term, end.index);
  }
  return text;
}

absl::StatusOr<Position> Position::FromText(std::string_view text) {
  const absl::Status bad = MakeStatus(
      absl::StatusCode::kInvalidArgument,
      "not what `recover` prints behind `position:`; it begins with `node 3: 0:7/120 1:6/99`");
  // Reads a number and the character behind it, if one is wanted.
  const auto number = [&text](auto& value, char behind) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc()) return false;
    text.remove_prefix(static_cast<size_t>(read.ptr - text.data()));
    if (behind == '\0') return true;
    if (!text.starts_with(behind)) return false;
    text.remove_prefix(1);
    return true;
  };
  if (text.starts_with("position: ")) text.remove_prefix(10);
  if (!text.starts_with("node ")) return bad;
  text.remove_prefix(5);
  Position position;
  uint64_t node = 0;
  if (!number(node, ':')) return bad;
  position.node = NodeId{node};
  while (text.starts_with(' ')) {
    text.remove_prefix(1);
    uint32_t group = 0;
    LogEnd end;
    if (!number(group, ':') || !number(end.term, '/') || !number(end.index, '\0')) return bad;
    position.ends[GroupId{group}] = end;
  }
  if (!text.empty() || position.ends.empty()) return bad;
  return position;
}

int RunRecover(const NodeSettings& settings, const RecoverOptions& options,
               const RecoverStreams& streams) {
  SetPrivateFileModes();
  std::vector<Position> others;
  for (const std::string& text : options.others) {
    absl::StatusOr<Position> other = Position::FromText(text);
    if (!other.ok()) {
      streams.err << format("holdfastd: --beside: {}\n", Message(other.status()));
      return kUsage;
    }
    others.push_back(*std::move(other));
  }
  const SystemClock clock;
  const absl::StatusOr<Survivor> survivor = Look(settings, clock);
  if (!survivor.ok()) return Fail(streams, survivor.status());
  Show(*survivor, streams.out);
  for (const Position& other : others) CompareWith(PositionOf(*survivor), other, streams.out);
  // A node that was found to have forgotten something never starts again, so it can't go on alone.
  if (absl::Status whole = CheckNoAmnesia(settings.data_dir); !whole.ok()) {
    streams.out << "THIS STORE HAS LOST ACKNOWLEDGED DATA and can't be recovered from\n";
    return Fail(streams, whole);
  }
  if (!options.accept_loss) return kDone;
  if (survivor->sole_voter) {
    return Fail(streams, absl::FailedPreconditionError(
                             "this node is the only voter of every group: start it"));
  }
  if (!Confirm(*survivor, options, streams)) return kFailed;
  std::string incarnation;
  if (absl::Status status = Recover(settings, *survivor, clock, &incarnation); !status.ok()) {
    return Fail(streams, status);
  }
  streams.out << format(
      "Done: incarnation {} of the cluster begins with this node. Start it; then let other nodes "
      "join\n"
      "under new ids and with empty directories: see docs/runbooks/lost-majority.md\n",
      incarnation.substr(0, 8));
  return kDone;
}

}  // namespace holdfast::node
