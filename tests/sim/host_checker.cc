#include "tests/sim/host_checker.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/text.h"

namespace holdfast::raft_test {

using raft::Entry;
using raft::GroupStatus;
using raft::LogIndex;
using raft::Message;
using raft::MessageType;
using raft::SimGroup;
using raft::SimImage;
using raft::Term;

HostChecker::HostChecker(std::vector<NodeId> voters, ImageOf durable_of, ImageOf seen_of)
    : voters_(std::move(voters)),
      nodes_(voters_),
      durable_of_(std::move(durable_of)),
      seen_of_(std::move(seen_of)) {}

void HostChecker::Fail(const std::string& what) {
  if (error_.empty()) error_ = format("at {:.6f} s: {}", absl::ToDoubleSeconds(now_), what);
}

const SimGroup* HostChecker::Find(const SimImage& image, GroupId group) const {
  const auto it = image.groups.find(group);
  return it == image.groups.end() ? nullptr : &it->second;
}

// 0: not there (any more).
Term HostChecker::TermAt(const SimGroup& group, LogIndex index) const {
  if (index == 0) return 0;
  if (index == group.record.truncated) return group.record.truncated_term;
  const auto entry = group.log.find(index);
  return entry == group.log.end() ? 0 : entry->second.term;
}

bool HostChecker::Holds(NodeId node, GroupId group, LogIndex index, Term term) const {
  const SimGroup* on_disk = Find(durable_of_(node), group);
  // What is truncated was applied, and what was applied was committed: it counts.
  return on_disk != nullptr &&
         (index < on_disk->record.truncated || TermAt(*on_disk, index) == term);
}

bool HostChecker::IsKept(GroupId group, LogIndex index, Term term) {
  return FactsOf(group).configs.MayCommit(
      index, [&](NodeId node) { return Holds(node, group, index, term); });
}

// Who has gone on to a later term may have voted in this one: nobody can tell any more.
void HostChecker::CheckVotes(NodeId node, const GroupStatus& status, const Facts& facts) {
  const bool elected = facts.configs.MayElect([&](NodeId voter) {
    const SimGroup* on_disk = Find(durable_of_(voter), status.group);
    if (on_disk == nullptr) return false;
    const raft::HardState& kept = on_disk->record.hard_state;
    return kept.term > status.term || (kept.term == status.term && kept.vote == node);
  });
  if (elected) return;
  Fail(format("group {}: node {} leads term {} without the votes of a majority",
              status.group.value(), node.value(), status.term));
}

void HostChecker::CheckMembers(NodeId node, GroupId group) {
  const raft::GroupRecord& record = Find(seen_of_(node), group)->record;
  if (record.applied == 0 && record.conf_state.empty()) return;  // It was made to be filled.
  if (SameMembers(record.conf_state, FactsOf(group).configs.At(record.applied))) return;
  Fail(format("group {}: node {} has other members at entry {} than were decided", group.value(),
              node.value(), record.applied));
}

uint64_t HostChecker::changes() const {
  uint64_t sum = 0;
  for (const auto& [group, facts] : facts_) sum += facts.configs.changes();
  return sum;
}

void HostChecker::OnStatus(NodeId node, const GroupStatus& status) {
  Facts& facts = FactsOf(status.group);
  if (status.handing_over) {
    std::erase_if(facts.leases, [node](const Lease& lease) { return lease.node == node; });
  }
  if (status.role == raft::Role::kLeader) OnLeader(node, status, facts);
  if (status.commit > committed(status.group)) OnCommit(node, status, facts);
}

void HostChecker::OnLeader(NodeId node, const GroupStatus& status, Facts& facts) {
  const auto [leader, is_new] = facts.leaders.emplace(status.term, node);
  if (!is_new) {
    if (leader->second == node) return;
    return Fail(format("group {}: nodes {} and {} both lead term {}", status.group.value(),
                       leader->second.value(), node.value(), status.term));
  }
  ++elected_;
  CheckVotes(node, status, facts);
  std::erase_if(facts.leases, [this](const Lease& lease) { return lease.until <= now_; });
  for (const Lease& lease : facts.leases) {
    if (lease.node == node || lease.term >= status.term) continue;
    Fail(
        format("group {}: node {} leads term {}, yet node {} may rely on term {} for {:.3f} s "
               "more",
               status.group.value(), node.value(), status.term, lease.node.value(), lease.term,
               absl::ToDoubleSeconds(lease.until - now_)));
  }
  const SimGroup* on_disk = Find(seen_of_(node), status.group);
  for (const auto& [index, known] : facts.committed) {
    if (known.by_term >= status.term || index < on_disk->record.truncated) continue;
    if (TermAt(*on_disk, index) == known.term) continue;
    return Fail(
        format("group {}: node {} leads term {} without entry {} of term {}, which was "
               "committed by term {}",
               status.group.value(), node.value(), status.term, index, known.term, known.by_term));
  }
}

void HostChecker::OnCommit(NodeId node, const GroupStatus& status, Facts& facts) {
  for (LogIndex index = committed(status.group) + 1; index <= status.commit; ++index) {
    // A follower may hear that something is committed which it is still writing: ask all disks.
    Term found = 0;
    for (const NodeId other : nodes_) {
      const SimGroup* on_disk = Find(durable_of_(other), status.group);
      const Term term = on_disk == nullptr ? 0 : TermAt(*on_disk, index);
      if (term != 0 && IsKept(status.group, index, term)) found = term;
    }
    if (found == 0) {
      return Fail(
          format("group {}: node {} in term {} calls entry {} committed, but no majority "
                 "of disks keeps it",
                 status.group.value(), node.value(), status.term, index));
    }
    facts.committed[index] = Committed{found, status.term};
    const auto stored = facts.stored.find({index, found});
    if (stored == facts.stored.end() || stored->second.entry.type == raft::EntryType::kNormal) {
      continue;
    }
    const std::string broken = facts.configs.OnCommitted(stored->second.entry);
    if (!broken.empty()) return Fail(format("group {}: {}", status.group.value(), broken));
  }
}

LogIndex HostChecker::committed(GroupId group) const {
  const auto facts = facts_.find(group);
  if (facts == facts_.end() || facts->second.committed.empty()) return 0;
  return facts->second.committed.rbegin()->first;
}

void HostChecker::OnStored(NodeId node, const std::vector<raft::LogWrite>& writes) {
  for (const raft::LogWrite& write : writes) {
    Facts& facts = FactsOf(write.group);
    const SimGroup* on_disk = Find(seen_of_(node), write.group);
    for (const Entry& entry : write.entries) {
      if (TermAt(*on_disk, entry.index) != entry.term) continue;  // Replaced in the same Write().
      const auto committed = facts.committed.find(entry.index);
      if (committed != facts.committed.end() && committed->second.by_term < entry.term &&
          committed->second.term != entry.term) {
        Fail(format(
            "group {}: node {} stores entry {} of term {} over what was committed with "
            "term {}",
            write.group.value(), node.value(), entry.index, entry.term, committed->second.term));
      }
      Known known{TermAt(*on_disk, entry.index - 1), entry};
      for (raft::Payload& body : known.entry.bodies) body.bytes = nullptr;
      const auto [it, is_new] =
          facts.stored.emplace(std::make_pair(entry.index, entry.term), known);
      if (is_new) continue;
      if (it->second.entry != entry || it->second.previous_term != known.previous_term) {
        Fail(format("group {}: node {} stores another entry {} of term {} than others did",
                    write.group.value(), node.value(), entry.index, entry.term));
      }
    }
  }
}

void HostChecker::OnSend(NodeId node, GroupId group, const Message& message) {
  const SimGroup* on_disk = Find(durable_of_(node), group);
  if (on_disk == nullptr)
    return Fail(format("node {} speaks for a group it has not", node.value()));
  const raft::HardState& kept = on_disk->record.hard_state;
  if (kept.term > message.term) return;  // Its disk has gone on; the answer is of an older term.
  switch (message.type) {
    case MessageType::kAppend:
    case MessageType::kHeartbeat:
      if (kept.term < message.term) {
        Fail(format("group {}: node {} leads term {} before its own vote is durable", group.value(),
                    node.value(), message.term));
      }
      break;
    case MessageType::kVoteResponse:
      if (message.reject) break;
      if (kept.term < message.term || kept.vote != message.to) {
        Fail(format("group {}: node {} votes for node {} in term {} before that is durable",
                    group.value(), node.value(), message.to.value(), message.term));
      }
      break;
    case MessageType::kAppendResponse:
      if (message.reject) break;
      if (kept.term < message.term || on_disk->record.last < message.index) {
        Fail(
            format("group {}: node {} acknowledges entry {} in term {}, but term {} and entry {} "
                   "are what is durable",
                   group.value(), node.value(), message.index, message.term, kept.term,
                   on_disk->record.last));
      }
      break;
    default:
      break;
  }
}

// An entry whose place was taken by a committed one is as dead as its bodies: whoever still stores
// it will replace it, and can't apply as far as its own index with it.
LogIndex HostChecker::EndOf(const raft::BodyKey& key, const Facts& facts) const {
  const auto ended = facts.ended.find(key);
  if (ended != facts.ended.end()) return ended->second;
  const auto committed = facts.committed.find(key.index);
  const bool replaced = committed != facts.committed.end() && committed->second.term != key.term;
  return replaced ? key.index : 0;
}

void HostChecker::OnTransmit(NodeId node, GroupId group, const Message& message) {
  Facts& facts = FactsOf(group);
  for (const Entry& entry : message.entries) {
    for (uint32_t ordinal = 0; ordinal < entry.bodies.size(); ++ordinal) {
      const raft::Payload& body = entry.bodies[ordinal];
      const raft::BodyKey key{group, entry.index, entry.term, ordinal};
      if (body.bytes != nullptr) {
        if (body.bytes->size() != body.size || Crc32c(*body.bytes) != body.crc32c) {
          Fail(format("group {}: node {} sends wrong bytes of body {} of entry {}", group.value(),
                      node.value(), ordinal, entry.index));
        }
        continue;
      }
      ++elided_;
      const LogIndex ended = EndOf(key, facts);
      if (body.elided_by == 0 || ended == 0 || ended > body.elided_by) {
        Fail(format(
            "group {}: node {} sends entry {} of term {} without body {}, as ended by "
            "entry {}; it was ended by entry {}",
            group.value(), node.value(), entry.index, entry.term, ordinal, body.elided_by, ended));
      }
    }
  }
}

void HostChecker::OnOpened(NodeId node, const raft::GroupRecord& record) {
  last_applied_[{node, record.group}] = record.applied;
  OnCommitted(node, record.group, record.applied);
  CheckBodies(node, record.group);
}

void HostChecker::OnApplied(NodeId node, const SimApplied& applied) {
  Facts& facts = FactsOf(applied.group);
  LogIndex& last = last_applied_[{node, applied.group}];
  if (applied.index <= last) {
    Fail(format("group {}: node {} applies entry {} behind entry {}", applied.group.value(),
                node.value(), applied.index, last));
  }
  last = applied.index;
  const auto [it, is_new] = facts.applied.emplace(
      applied.index, Applied{applied.term, applied.command, applied.verdict, applied.chain});
  const Applied& first = it->second;
  if (first.term != applied.term || first.command != applied.command ||
      first.verdict != applied.verdict || first.chain != applied.chain) {
    Fail(format("group {}: node {} applies entry {} of term {} ({}) to other rows than others did",
                applied.group.value(), node.value(), applied.index, applied.term, applied.command));
  }
  const auto committed = facts.committed.find(applied.index);
  if (committed == facts.committed.end() || committed->second.term != applied.term) {
    // The status is looked at after the turn in which it changed, before anything is applied.
    Fail(format("group {}: node {} applies entry {} of term {}, which is not committed",
                applied.group.value(), node.value(), applied.index, applied.term));
  }
  if (!is_new) return;
  for (const raft::BodyKey& key : applied.ended) facts.ended.emplace(key, applied.index);
  const SimCommand command = ParseCommand(applied.command);
  if (!command.add) return;
  facts.applied_attempts[command.attempt] = applied.index;
  if (facts.ruled_out.contains(command.attempt)) {
    Fail(format("group {}: attempt {} was ruled out, yet entry {} applies it",
                applied.group.value(), command.attempt, applied.index));
  }
}

void HostChecker::OnCommitted(NodeId node, GroupId group, LogIndex last) {
  CheckMembers(node, group);
  const Facts& facts = FactsOf(group);
  auto applied = facts.applied.upper_bound(last);
  const std::string expected =
      applied == facts.applied.begin() ? "" : std::to_string(std::prev(applied)->second.chain);
  const raft::SimRows& rows = Find(seen_of_(node), group)->current_rows();
  const auto chain = rows.find(kChainKey);
  if ((chain == rows.end() ? "" : chain->second) != expected) {
    Fail(format("group {}: the rows of node {} ({} of generation {}) are not those of entry {}",
                group.value(), node.value(), rows.size(), Find(seen_of_(node), group)->generation,
                last));
  }
}

void HostChecker::OnInstalled(NodeId node, GroupId group, LogIndex last) {
  ++installed_;
  LogIndex& applied = last_applied_[{node, group}];
  if (last < applied) {
    Fail(format("group {}: node {} installs a snapshot of entry {} behind entry {}", group.value(),
                node.value(), last, applied));
  }
  applied = last;
  OnCommitted(node, group, last);
  CheckBodies(node, group);
}

void HostChecker::OnLeading(NodeId node, GroupId group, Term term) {
  const SimGroup* on_disk = Find(seen_of_(node), group);
  const raft::GroupRecord& record = on_disk->record;
  // A word that waited long for its turn is of a former time: what a newer leader sent without its
  // bodies may be on disk by now.
  if (record.hard_state.term != term) return;
  if (TermAt(*on_disk, record.applied) != term) {
    Fail(format("group {}: node {} leads term {} before it applied an entry of it", group.value(),
                node.value(), term));
  }
  if (record.applied < record.elided_through) {
    Fail(format("group {}: node {} leads, but bodies may be missing until entry {}", group.value(),
                node.value(), record.elided_through));
  }
  CheckBodies(node, group);
}

void HostChecker::CheckBody(NodeId node, const SimGroup& group, const raft::BodyRef& body,
                            const char* why) {
  const auto found = group.bodies.find({group.record.incarnation, body.key});
  const bool whole = found != group.bodies.end() && found->second.bytes->size() == body.bytes &&
                     Crc32c(*found->second.bytes) == body.crc32c;
  if (whole) return;
  Fail(format(
      "group {}: node {} {} body {} of entry {} of term {}, which {} keeps alive "
      "(applied {}, elided through {})",
      body.key.group.value(), node.value(),
      found == group.bodies.end() ? "lacks" : "has wrong bytes of", body.key.ordinal,
      body.key.index, body.key.term, why, group.record.applied, group.record.elided_through));
}

void HostChecker::CheckBodies(NodeId node, GroupId id) {
  const SimGroup* group = Find(seen_of_(node), id);
  // Bodies that came elided end with an entry that is still to be applied.
  if (group == nullptr || group->record.applied < group->record.elided_through) return;
  const raft::SimRows& rows = group->current_rows();
  for (auto row = rows.lower_bound("m/"); row != rows.end() && row->first < "m0"; ++row) {
    for (const raft::BodyRef& body : BodiesOfRow(id, row->second)) {
      CheckBody(node, *group, body, "a row");
    }
  }
  for (auto it = group->log.upper_bound(group->record.applied); it != group->log.end(); ++it) {
    const Entry& entry = it->second;
    for (uint32_t ordinal = 0; ordinal < entry.bodies.size(); ++ordinal) {
      const raft::Payload& body = entry.bodies[ordinal];
      CheckBody(node, *group,
                {raft::BodyKey{id, entry.index, entry.term, ordinal}, body.size, body.crc32c},
                "the log");
    }
  }
}

LogIndex HostChecker::answered(GroupId group) const {
  const auto facts = facts_.find(group);
  return facts == facts_.end() ? 0 : facts->second.answered;
}

void HostChecker::OnAnswer(NodeId node, const Asked& asked, const raft::ProposeResult& result) {
  Facts& facts = FactsOf(asked.group);
  if (result.index != 0) return OnVerdict(node, asked, result, facts);
  OnNotSpoken(asked, result, facts);
}

void HostChecker::OnVerdict(NodeId node, const Asked& asked, const raft::ProposeResult& result,
                            Facts& facts) {
  const auto where = [&] {
    return format("group {}: node {} answers {} for entry {} of term {} ({})", asked.group.value(),
                  node.value(), absl::StatusCodeToString(result.status.code()), result.index,
                  result.term, asked.command);
  };
  ++acknowledged_;
  const auto applied = facts.applied.find(result.index);
  if (applied == facts.applied.end() || applied->second.term != result.term ||
      applied->second.command != asked.command || applied->second.verdict != result.status.code()) {
    return Fail(where() + ", which is not what was applied there");
  }
  if (!IsKept(asked.group, result.index, result.term)) {
    return Fail(where() + ", which no majority of disks keeps");
  }
  const SimGroup* on_disk = Find(seen_of_(node), asked.group);
  if (on_disk->record.applied < result.index) {
    return Fail(where() + format(", but its rows are those of entry {}", on_disk->record.applied));
  }
  facts.answered = std::max(facts.answered, result.index);
  const SimCommand command = ParseCommand(asked.command);
  if (command.add && result.status.ok()) facts.accepted_serials.insert(command.serial);
}

void HostChecker::OnNotSpoken(const Asked& asked, const raft::ProposeResult& result, Facts& facts) {
  if (result.status.ok()) return Fail("accepted without an index: " + asked.command);
  if (absl::IsDeadlineExceeded(result.status) || asked.attempt == 0) return;
  facts.ruled_out.insert(asked.attempt);
  const auto applied = facts.applied_attempts.find(asked.attempt);
  if (applied == facts.applied_attempts.end()) return;
  Fail(format("group {}: attempt {} is answered {}, but entry {} applied it", asked.group.value(),
              asked.attempt, absl::StatusCodeToString(result.status.code()), applied->second));
}

void HostChecker::OnRead(NodeId node, GroupId group, LogIndex answered_when_asked,
                         const raft::ReadPoint& point) {
  const SimGroup* on_disk = Find(seen_of_(node), group);
  if (point.index >= answered_when_asked && on_disk->record.applied >= point.index) return;
  Fail(format("group {}: node {} reads at entry {} (applied {}), but entry {} had been answered",
              group.value(), node.value(), point.index, on_disk->record.applied,
              answered_when_asked));
}

void HostChecker::OnLease(NodeId node, const GroupStatus& status, absl::Duration now,
                          absl::Duration until) {
  if (!status.leading || status.handing_over || until <= now) return;
  Facts& facts = FactsOf(status.group);
  std::erase_if(facts.leases, [now](const Lease& lease) { return lease.until <= now; });
  facts.leases.push_back(Lease{node, status.term, until});
  if (facts.leaders.rbegin()->first <= status.term) return;
  Fail(format("group {}: node {} may rely on term {}, but node {} leads term {}",
              status.group.value(), node.value(), status.term,
              facts.leaders.rbegin()->second.value(), facts.leaders.rbegin()->first));
}

void HostChecker::CheckNoOrphans(NodeId node, const SimGroup& group,
                                 const std::vector<raft::BodyRef>& alive) {
  for (const auto& [generation, rows] : group.rows) {
    if (generation == group.generation) continue;
    Fail(format("group {}: node {} still keeps rows of generation {}, which is not in use",
                group.record.group.value(), node.value(), generation));
  }
  std::set<raft::BodyKey> referenced;
  for (const raft::BodyRef& body : alive) referenced.insert(body.key);
  for (const auto& [place, body] : group.bodies) {
    if (place.first == group.record.incarnation && referenced.contains(place.second)) continue;
    Fail(format("group {}: node {} still keeps body {} of entry {} of term {}, which nothing needs",
                place.second.group.value(), node.value(), place.second.ordinal, place.second.index,
                place.second.term));
  }
}

void HostChecker::OnSettled(const std::vector<NodeId>& nodes, GroupId group) {
  Facts& facts = FactsOf(group);
  const raft::SimRows* first = nullptr;
  for (const NodeId node : nodes) {
    const SimGroup* on_disk = Find(seen_of_(node), group);
    const raft::SimRows& rows = on_disk->current_rows();
    if (first == nullptr) first = &rows;
    if (rows != *first) {
      Fail(format("group {}: the rows of nodes {} and {} differ", group.value(),
                  nodes.front().value(), node.value()));
    }
    for (const uint64_t serial : facts.accepted_serials) {
      if (rows.contains(AliveKey(serial)) || rows.contains(EndedKey(serial))) continue;
      Fail(format("group {}: node {} has lost serial {}, which was accepted", group.value(),
                  node.value(), serial));
    }
    CheckBodies(node, group);
    std::vector<raft::BodyRef> alive;
    for (auto row = rows.lower_bound("m/"); row != rows.end() && row->first < "m0"; ++row) {
      for (const raft::BodyRef& body : BodiesOfRow(group, row->second)) alive.push_back(body);
    }
    CheckNoOrphans(node, *on_disk, alive);
  }
}

}  // namespace holdfast::raft_test
