#include "node/backend/node_backend.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <map>
#include <thread>
#include <utility>

#include "base/check.h"
#include "node/backend/admin_views.h"
#include "node/backend/waiter.h"
#include "node/config/config_reader.h"
#include "node/delivery/notice_writer.h"
#include "node/groups/group_tables.h"
#include "node/version.h"
#include "proto/admin.pb.h"
#include "queue/queue_view.h"
#include "queue/state/command_codec.h"

namespace holdfast::node {
namespace {

constexpr size_t kMessagesPerActionMax = 1000;
constexpr uint32_t kSummaryRowsDefault = 50;
// What another node's leader has applied shows in our own rows a moment later.
constexpr absl::Duration kOwnRowsWaitMax = absl::Seconds(2);
// How long questions wait for rows of groups that others lead.
constexpr absl::Duration kFreshForListsMax = absl::Seconds(2);
// An election ends within it.
constexpr absl::Duration kFreshForVerbsMax = absl::Seconds(5);
// Of a verb's later calls: the first has waited for what could be waited for.
constexpr absl::Duration kFreshForPagesMax = absl::Milliseconds(300);

std::string_view RoleName(const raft::GroupStatus& status) {
  switch (status.role) {
    case raft::Role::kLeader:
      return "leader";
    case raft::Role::kCandidate:
    case raft::Role::kPreCandidate:
      return "candidate";
    case raft::Role::kFollower:
      break;
  }
  return "follower";
}

// "7:token": the group to go on with, and where in it.
struct Position {
  uint32_t group = 1;
  std::string token;

  static absl::StatusOr<Position> Parse(const std::string& text) {
    Position position;
    if (text.empty()) return position;
    const size_t colon = text.find(':');
    if (colon == 0 || colon == std::string::npos || colon > 6 ||
        text.find_first_not_of("0123456789") != colon) {
      return absl::InvalidArgumentError("that page token is not from here");
    }
    position.group = static_cast<uint32_t>(std::stoul(text.substr(0, colon)));
    position.token = text.substr(colon + 1);
    return position;
  }
  std::string ToString() const { return format("{}:{}", group, token); }
};

void AddRow(const queue::DestinationSummary& from, admin::QueueSummaryRow* to) {
  to->set_total(to->total() + from.recipients);
  for (size_t i = 0; i < from.ages.size(); ++i) {
    if (static_cast<size_t>(to->counts_size()) <= i) to->add_counts(0);
    to->set_counts(static_cast<int>(i), to->counts(static_cast<int>(i)) + from.ages[i]);
  }
}

void AddProblems(const std::vector<ConfigProblem>& problems,
                 google::protobuf::RepeatedPtrField<admin::PolicyProblem>* out) {
  for (const ConfigProblem& problem : problems) {
    admin::PolicyProblem& one = *out->Add();
    one.set_line(static_cast<uint32_t>(problem.line));
    one.set_column(static_cast<uint32_t>(problem.column));
    one.set_text(problem.text);
  }
}

void FillVersion(const PolicyVersionRow& row, admin::PolicyVersion* out) {
  out->set_version(row.version);
  SetTimestamp(absl::FromUnixMicros(row.stamped_us), out->mutable_applied());
  out->set_actor(row.actor);
  out->set_comment(row.comment);
}

void TellLate(const LateGroup& late, google::protobuf::RepeatedPtrField<admin::LateGroup>* out) {
  admin::LateGroup& one = *out->Add();
  one.set_group(late.group.value());
  one.set_reason(late.reason);
}

void TellLate(const std::vector<LateGroup>& late,
              google::protobuf::RepeatedPtrField<admin::LateGroup>* out) {
  for (const LateGroup& one : late) TellLate(one, out);
}

}  // namespace

struct NodeBackend::Found {
  GroupId group;
  queue::MessageView view;
};

NodeBackend::NodeBackend(const Parts& parts) : parts_(parts), started_(parts.clock.Now()) {}

raft::ProposeResult NodeBackend::Propose(GroupId group, raft::Proposal proposal,
                                         absl::Time deadline) const {
  auto waiter = std::make_shared<Waiter>(1);
  parts_.propose(group, std::move(proposal),
                 [waiter](const raft::ProposeResult& result) { waiter->Set(0, result); });
  const raft::ProposeResult result = waiter->Wait(deadline - parts_.clock.Now()).front();
  WaitApplied(group, result.index, deadline);
  return result;
}

void NodeBackend::WaitApplied(GroupId group, raft::LogIndex index, absl::Time deadline) const {
  const absl::Time until = std::min(deadline, parts_.clock.Now() + kOwnRowsWaitMax);
  while (parts_.clock.Now() < until) {
    const std::optional<raft::GroupStatus> status = parts_.host.Status(group);
    if (!status || status->applied >= index) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

absl::Status NodeBackend::ClusterStatus(const AdminCall& /*call*/,
                                        admin::ClusterStatusResponse* response) {
  return parts_.cluster.Status(response);
}

absl::Status NodeBackend::ClusterChecksums(const AdminCall& call,
                                           admin::ClusterChecksumsResponse* response) {
  return parts_.cluster.Checksums(call.deadline, response);
}

absl::Status NodeBackend::ClusterTransfer(const AdminCall& call,
                                          const admin::ClusterTransferRequest& request,
                                          admin::ClusterTransferResponse* response) {
  return parts_.cluster.Transfer(request, call.deadline, response);
}

absl::Status NodeBackend::ClusterJoin(const AdminCall& call,
                                      const admin::ClusterJoinRequest& request,
                                      admin::ClusterMembersResponse* response) {
  return parts_.cluster.Join(request, call.actor, call.deadline, response);
}

absl::Status NodeBackend::ClusterRemove(const AdminCall& call,
                                        const admin::ClusterRemoveRequest& request,
                                        admin::ClusterMembersResponse* response) {
  return parts_.cluster.Remove(request, call.actor, call.deadline, response);
}

absl::Status NodeBackend::ClusterRaiseLevel(const AdminCall& call,
                                            const admin::ClusterRaiseLevelRequest& request,
                                            admin::ClusterRaiseLevelResponse* response) {
  return parts_.cluster.RaiseLevel(request, call.actor, call.deadline, response);
}

absl::Status NodeBackend::NodeDrain(const AdminCall& call, const admin::NodeDrainRequest& request,
                                    admin::NodeDrainResponse* response) {
  return parts_.cluster.Drain(request, call.deadline, response);
}

absl::Status NodeBackend::DestinationList(const AdminCall& call,
                                          const admin::DestinationListRequest& request,
                                          admin::DestinationListResponse* response) {
  auto views = std::make_shared<std::promise<std::vector<ShareExchange::View>>>();
  parts_.apply.Post([&shares = parts_.shares, views, rows_max = request.rows_max()] {
    views->set_value(shares.Views(rows_max));
  });
  auto shown = views->get_future();
  const absl::Duration left = call.deadline - parts_.clock.Now();
  if (shown.wait_for(absl::ToChronoMilliseconds(left)) != std::future_status::ready) {
    return absl::UnavailableError("the node is busy");
  }
  response->set_node_id(parts_.node.value());
  for (const ShareExchange::View& view : shown.get()) {
    admin::DestinationUse& use = *response->add_destinations();
    use.set_destination(view.destination);
    use.set_running(view.running);
    use.set_open(view.demand.open);
    use.set_wanted(static_cast<uint32_t>(view.demand.wanted.connections));
    use.set_share(static_cast<uint32_t>(view.allowed.connections));
    use.set_limit(view.limits.concurrency_max);
    if (view.limits.rate_messages == 0) continue;
    use.set_rate_share(view.allowed.messages);
    use.set_rate_limit(view.limits.rate_messages);
    use.set_rate_period_seconds(absl::ToDoubleSeconds(view.limits.rate_period));
  }
  return absl::OkStatus();
}

absl::Status NodeBackend::NodeUndrain(const AdminCall& /*call*/) {
  return parts_.cluster.Undrain();
}

absl::Status NodeBackend::GetStatus(const AdminCall& /*call*/, admin::StatusResponse* response) {
  response->set_node_id(parts_.node.value());
  response->set_hostname(parts_.hostname);
  response->set_version(kVersion);
  SetTimestamp(started_, response->mutable_started());
  const absl::Status ready = parts_.health.MayAccept();
  response->set_ready(ready.ok());
  if (!ready.ok()) response->set_not_ready_reason(std::string(Message(ready)));
  response->set_policy_version(parts_.policy.Current()->version());
  queue::Totals all;
  for (const raft::GroupStatus& status : parts_.host.Statuses()) {
    admin::GroupStatus& group = *response->add_groups();
    group.set_group(status.group.value());
    group.set_role(std::string(RoleName(status)));
    group.set_leading(status.leading);
    group.set_leader_node_id(status.leader.value());
    group.set_term(status.term);
    group.set_commit_index(status.commit);
    group.set_applied_index(status.applied);
    if (status.group == kControlGroup) continue;
    const std::unique_ptr<raft::StateReader> rows = parts_.store.Reader(status.group);
    HOLDFAST_ASSIGN_OR_RETURN(const queue::Totals totals, queue::QueueTotals(GroupReader(*rows)));
    group.set_messages(totals.messages);
    all += totals;
  }
  admin::QueueCounts& counts = *response->mutable_queue();
  counts.set_messages(all.messages);
  counts.set_recipients(all.recipients);
  counts.set_held_messages(all.held_messages);
  counts.set_in_doubt_recipients(all.in_doubt_units);
  counts.set_destinations(all.destinations);
  response->mutable_sessions()->set_inbound(static_cast<uint32_t>(parts_.sessions()));
  response->mutable_sessions()->set_outbound(
      static_cast<uint32_t>(std::max<int64_t>(parts_.metrics.attempts_running.value(), 0)));
  admin::TrafficCounts& traffic = *response->mutable_traffic();
  traffic.set_messages_accepted(parts_.metrics.accepted.value());
  traffic.set_commands_rejected(parts_.metrics.rejected.value());
  traffic.set_recipients_delivered(parts_.metrics.delivered.value());
  traffic.set_recipients_deferred(parts_.metrics.deferred.value());
  traffic.set_recipients_bounced(parts_.metrics.bounced.value());
  traffic.set_recipients_expired(parts_.metrics.expired.value());
  response->mutable_storage()->set_disk_free_bytes(parts_.health.disk().free_bytes());
  response->mutable_storage()->set_disk_reserve_bytes(parts_.health.disk().reserve_bytes());
  return absl::OkStatus();
}

void NodeBackend::AddGauges(MetricRegistry& registry) const {
  const auto add = [&](std::string_view name, std::string_view help,
                       uint64_t queue::Totals::*count) {
    registry.AddGaugeFunction(name, help, [this, count] {
      queue::Totals all;
      for (uint32_t group = 1; group <= parts_.queue_groups; ++group) {
        const std::unique_ptr<raft::StateReader> rows = parts_.store.Reader(GroupId{group});
        // A group that can't be read now is missing from the sum; the next scrape has it again.
        const auto totals = queue::QueueTotals(GroupReader(*rows));
        if (totals.ok()) all += *totals;
      }
      return static_cast<double>(all.*count);
    });
  };
  add("holdfast_queue_messages", "Messages in the queue of the whole cluster, as this node has it.",
      &queue::Totals::messages);
  add("holdfast_queue_recipients", "Recipients that wait, in the whole cluster.",
      &queue::Totals::recipients);
  add("holdfast_queue_held_messages", "Messages that operators or the quarantine hold.",
      &queue::Totals::held_messages);
  add("holdfast_queue_in_doubt", "Units whose last attempt has no known outcome yet.",
      &queue::Totals::in_doubt_units);
  registry.AddGaugeFunction("holdfast_bodies_mended",
                            "Damaged bodies fetched from other nodes since the start.",
                            [this] { return static_cast<double>(parts_.host.Mended().mended); });
  registry.AddGaugeFunction("holdfast_bodies_lost",
                            "Times since the start that no node had a damaged body.",
                            [this] { return static_cast<double>(parts_.host.Mended().lost); });
}

std::vector<LateGroup> NodeBackend::WaitFresh(const AdminCall& call, uint32_t from,
                                              absl::Duration at_most) const {
  std::vector<GroupId> groups;
  for (uint32_t group = from; group <= parts_.queue_groups; ++group) groups.emplace_back(group);
  // What is left of the call's time is for the answer.
  return parts_.fresh.Wait(groups, std::min(at_most, (call.deadline - parts_.clock.Now()) / 2));
}

absl::Status NodeBackend::QueueSummary(const AdminCall& call,
                                       const admin::QueueSummaryRequest& request,
                                       admin::QueueSummaryResponse* response) {
  TellLate(WaitFresh(call, 1, kFreshForListsMax), response->mutable_late_groups());
  const size_t rows_max = request.rows_max() == 0 ? kSummaryRowsDefault : request.rows_max();
  for (const uint32_t minutes : queue::kAgeColumnMinutes) response->add_age_minutes(minutes);
  std::map<std::string, admin::QueueSummaryRow> rows;
  for (uint32_t group = 1; group <= parts_.queue_groups; ++group) {
    const std::unique_ptr<raft::StateReader> state = parts_.store.Reader(GroupId{group});
    const GroupReader reader(*state);
    // A destination may be large in sum only: ask each group for more than will be shown.
    const absl::StatusOr<queue::QueueSummary> part =
        request.by_sender()
            ? queue::SummariseBySender(reader, parts_.clock.Now(), rows_max * 4)
            : queue::SummariseByDestination(reader, parts_.clock.Now(), rows_max * 4);
    if (!part.ok()) return part.status();
    for (const queue::DestinationSummary& row : part->rows) AddRow(row, &rows[row.destination]);
    AddRow(part->total, response->mutable_total());
    response->set_rows_omitted(response->rows_omitted() +
                               static_cast<uint32_t>(part->rows_omitted));
  }
  std::vector<admin::QueueSummaryRow> sorted;
  for (auto& [destination, row] : rows) {
    row.set_destination(destination);
    sorted.push_back(std::move(row));
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.total() > b.total(); });
  for (admin::QueueSummaryRow& row : sorted) {
    if (static_cast<size_t>(response->rows_size()) < rows_max) {
      *response->add_rows() = std::move(row);
    } else {
      response->set_rows_omitted(response->rows_omitted() + 1);
    }
  }
  return absl::OkStatus();
}

absl::Status NodeBackend::QueueList(const AdminCall& call, const admin::QueueListRequest& request,
                                    admin::QueueListResponse* response) {
  HOLDFAST_ASSIGN_OR_RETURN(Position position, Position::Parse(request.page_token()));
  const size_t page_size = std::max<size_t>(request.page_size(), 1);
  const queue::QueueFilter filter = FilterOf(request.filter());
  if (request.page_token().empty()) {
    TellLate(WaitFresh(call, 1, kFreshForListsMax), response->mutable_late_groups());
  }
  while (position.group <= parts_.queue_groups) {
    const GroupId group{position.group};
    const std::unique_ptr<raft::StateReader> state = parts_.store.Reader(group);
    const GroupReader reader(*state);
    HOLDFAST_ASSIGN_OR_RETURN(
        const queue::QueuePage page,
        queue::ListMessages(reader, filter, parts_.clock.Now(),
                            page_size - static_cast<size_t>(response->messages_size()),
                            position.token));
    for (const queue::MessageView& view : page.messages) {
      FillEntry(view, group, response->add_messages());
    }
    position.token = page.next_page_token;
    if (position.token.empty()) ++position.group;
    const bool full = static_cast<size_t>(response->messages_size()) >= page_size;
    if (full || parts_.clock.Now() + absl::Seconds(1) > call.deadline) break;
  }
  if (position.group <= parts_.queue_groups) response->set_next_page_token(position.ToString());
  return absl::OkStatus();
}

absl::StatusOr<std::optional<NodeBackend::Found>> NodeBackend::FindHere(
    const queue::QueueId& id) const {
  for (uint32_t number = 1; number <= parts_.queue_groups; ++number) {
    const GroupId group{number};
    const std::unique_ptr<raft::StateReader> state = parts_.store.Reader(group);
    absl::StatusOr<queue::MessageView> view =
        queue::ShowMessage(GroupReader(*state), id, parts_.clock.Now());
    if (view.ok()) return Found{group, *std::move(view)};
    if (view.status().code() != absl::StatusCode::kNotFound) return view.status();
  }
  return std::nullopt;
}

absl::StatusOr<NodeBackend::Found> NodeBackend::Find(
    const AdminCall& call, const std::string& queue_id,
    std::optional<std::vector<LateGroup>>* late) const {
  const std::optional<queue::QueueId> id = queue::QueueId::ParseTyped(queue_id);
  if (!id) return absl::InvalidArgumentError("a queue id has 16 characters of Crockford base32");
  HOLDFAST_ASSIGN_OR_RETURN(std::optional<Found> found, FindHere(*id));
  if (found) return *std::move(found);
  // It may be younger than this node's rows.
  if (!*late) *late = WaitFresh(call, 1, kFreshForListsMax);
  HOLDFAST_ASSIGN_OR_RETURN(found, FindHere(*id));
  if (found) return *std::move(found);
  if (!(*late)->empty()) {
    const LateGroup& first = (*late)->front();
    return MakeStatus(absl::StatusCode::kUnavailable,
                      "no message {} in this node's rows, which may not be the newest: group {}: "
                      "{}. Ask another node, or try again",
                      id->text(), first.group.value(), first.reason);
  }
  return MakeStatus(absl::StatusCode::kNotFound,
                    "no message {} in the queue: it was delivered, returned or removed, or never "
                    "accepted",
                    id->text());
}

absl::Status NodeBackend::QueueShow(const AdminCall& call, const admin::QueueShowRequest& request,
                                    admin::QueueShowResponse* response) {
  // First of all, so that what another node has just done to the message shows.
  std::optional<std::vector<LateGroup>> late = WaitFresh(call, 1, kFreshForListsMax);
  HOLDFAST_ASSIGN_OR_RETURN(const Found found, Find(call, request.queue_id(), &late));
  FillShow(found.view, found.group, response);
  for (const LateGroup& one : *late) {
    if (one.group == found.group) TellLate(one, response->mutable_late_groups());
  }
  return absl::OkStatus();
}

absl::Status NodeBackend::ChooseByFilter(const AdminCall& call,
                                         const admin::QueueActionRequest& request,
                                         std::vector<Found>* chosen,
                                         admin::QueueActionResponse* response) const {
  HOLDFAST_ASSIGN_OR_RETURN(Position position, Position::Parse(request.cursor()));
  const queue::QueueFilter filter = FilterOf(request.filter());
  // A group in whose middle this page begins was fresh when its first message was chosen.
  std::vector<LateGroup> late =
      WaitFresh(call, position.token.empty() ? position.group : position.group + 1,
                request.cursor().empty() ? kFreshForVerbsMax : kFreshForPagesMax);
  while (position.group <= parts_.queue_groups && chosen->size() < kMessagesPerActionMax) {
    const GroupId group{position.group};
    if (!late.empty() && late.front().group == group) {
      TellLate(late.front(), response->mutable_late_groups());
      late.erase(late.begin());
      ++position.group;
      continue;
    }
    const std::unique_ptr<raft::StateReader> state = parts_.store.Reader(group);
    HOLDFAST_ASSIGN_OR_RETURN(
        queue::QueuePage page,
        queue::ListMessages(GroupReader(*state), filter, parts_.clock.Now(),
                            kMessagesPerActionMax - chosen->size(), position.token));
    for (queue::MessageView& view : page.messages) chosen->push_back({group, std::move(view)});
    position.token = page.next_page_token;
    if (position.token.empty()) ++position.group;
  }
  if (position.group <= parts_.queue_groups) response->set_next_cursor(position.ToString());
  return absl::OkStatus();
}

std::string NodeBackend::ActionCommand(QueueAction action, const Found& message,
                                       const AdminCall& call,
                                       const admin::QueueActionRequest& request,
                                       std::vector<raft::Body>* bodies) const {
  const std::string& reason = request.reason();
  const std::string id = message.view.queue_id.ToString();
  const absl::Time now = parts_.clock.Now();
  const int64_t stamped_us = absl::ToUnixMicros(now);
  const auto fill = [&](auto* verb) {
    verb->add_queue_ids(id);
    verb->set_actor(call.actor);
    verb->set_stamped_us(stamped_us);
    if constexpr (requires { verb->set_reason(reason); }) verb->set_reason(reason);
  };
  command::Command command;
  switch (action) {
    case QueueAction::kRetry:
      fill(command.mutable_retry());
      break;
    case QueueAction::kHold:
      fill(command.mutable_hold());
      break;
    case QueueAction::kRelease:
      fill(command.mutable_release());
      break;
    case QueueAction::kRemove:
      fill(command.mutable_remove());
      break;
    case QueueAction::kReroute:
      fill(command.mutable_reroute());
      command.mutable_reroute()->set_destination(request.to_destination());
      break;
    case QueueAction::kBounce: {
      command::Bounce& bounce = *command.mutable_bounce();
      bounce.set_queue_id(id);
      bounce.set_reason(reason);
      bounce.set_actor(call.actor);
      bounce.set_stamped_us(stamped_us);
      std::vector<NoticeFact> facts;
      for (const queue::UnitView& unit : message.view.units) {
        for (const queue::rows::RecipientRow& recipient : unit.row.recipients()) {
          if (recipient.end() != queue::rows::RecipientRow::OPEN) continue;
          NoticeFact fact;
          fact.recipient = recipient.recipient();
          bounce.add_recipients(recipient.recipient());
          fact.enhanced = "5.7.1";
          fact.text = format("Returned by the postmaster: {}", reason);
          facts.push_back(std::move(fact));
        }
      }
      const NoticeWriter writer(parts_.store, message.group, parts_.hostname, parts_.next_queue_id);
      for (MadeNotice& made : writer.Make(message.view, facts, *parts_.policy.Current(), now)) {
        command::Enqueue& enqueue = *bounce.add_notices()->mutable_enqueue();
        enqueue = made.enqueue;
        enqueue.set_first_body_ordinal(static_cast<uint32_t>(bodies->size()));
        bodies->push_back(made.body);
      }
      break;
    }
  }
  absl::StatusOr<std::string> bytes = queue::EncodeCommand(std::move(command));
  HOLDFAST_CHECK(bytes.ok()) << bytes.status();
  return *std::move(bytes);
}

absl::Status NodeBackend::QueueAct(const AdminCall& call, QueueAction action,
                                   const admin::QueueActionRequest& request,
                                   admin::QueueActionResponse* response) {
  if (!request.dry_run()) HOLDFAST_RETURN_IF_ERROR(parts_.health.MayStamp());
  std::vector<Found> chosen;
  std::optional<std::vector<LateGroup>> late;
  for (const std::string& id : request.queue_ids()) {
    absl::StatusOr<Found> found = Find(call, id, &late);
    if (found.ok()) {
      chosen.push_back(*std::move(found));
      continue;
    }
    admin::QueueRefusal& refusal = *response->add_refused();
    refusal.set_queue_id(id);
    refusal.set_reason(std::string(Message(found.status())));
  }
  if (request.queue_ids().empty()) {
    HOLDFAST_RETURN_IF_ERROR(ChooseByFilter(call, request, &chosen, response));
  }
  // That may have taken seconds.
  if (!request.dry_run()) HOLDFAST_RETURN_IF_ERROR(parts_.health.MayStamp());
  // One command a message, so that the answer is exact; the log gathers them into few syncs.
  auto waiter = std::make_shared<Waiter>(request.dry_run() ? 0 : chosen.size());
  for (size_t i = 0; i < chosen.size() && !request.dry_run(); ++i) {
    raft::Proposal proposal;
    proposal.command = ActionCommand(action, chosen[i], call, request, &proposal.bodies);
    parts_.propose(chosen[i].group, std::move(proposal),
                   [waiter, i](const raft::ProposeResult& result) { waiter->Set(i, result); });
  }
  const std::vector<raft::ProposeResult> results = waiter->Wait(call.deadline - parts_.clock.Now());
  for (size_t i = 0; i < results.size(); ++i) {
    WaitApplied(chosen[i].group, results[i].index, call.deadline);
  }
  absl::Status unknown;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const std::string id = chosen[i].view.queue_id.ToString();
    if (request.dry_run() || results[i].status.ok()) {
      response->set_messages_touched(response->messages_touched() + 1);
      response->set_recipients_touched(response->recipients_touched() +
                                       chosen[i].view.recipients_open);
      response->add_queue_ids(id);
    } else if (results[i].index == 0) {
      unknown = results[i].status;
    } else if (!request.queue_ids().empty()) {
      // Listed by name: say why. A filter only means those that the verb can change.
      admin::QueueRefusal& refusal = *response->add_refused();
      refusal.set_queue_id(id);
      refusal.set_reason(std::string(Message(results[i].status)));
    }
  }
  // Some were carried out and others not known: the caller asks again.
  return unknown;
}

absl::Status NodeBackend::PolicyCheck(const AdminCall& /*call*/,
                                      const admin::PolicyCheckRequest& request,
                                      admin::PolicyCheckResponse* response) {
  const auto policy =
      ReadPolicy(request.policy_text(), {.beyond_loopback = parts_.beyond_loopback});
  AddProblems(policy.problems, response->mutable_problems());
  return absl::OkStatus();
}

absl::Status NodeBackend::PolicyDiff(const AdminCall& /*call*/,
                                     const admin::PolicyDiffRequest& request,
                                     admin::PolicyDiffResponse* response) {
  const auto text_of = [this](uint64_t version) -> absl::StatusOr<std::string> {
    if (version == 0) return std::string();
    const std::optional<PolicyVersionRow> row = parts_.control.FindPolicy(version);
    if (!row) return MakeStatus(absl::StatusCode::kNotFound, "no policy version {}", version);
    return row->text;
  };
  const uint64_t from =
      request.from_version() == 0 ? parts_.control.PolicyVersion() : request.from_version();
  response->set_from_version(from);
  HOLDFAST_ASSIGN_OR_RETURN(const std::string from_text, text_of(from));
  std::string to_text = request.policy_text();
  std::string to_name = "given";
  if (to_text.empty() && request.to_version() != 0) {
    HOLDFAST_ASSIGN_OR_RETURN(to_text, text_of(request.to_version()));
    to_name = format("version {}", request.to_version());
  }
  const auto policy = ReadPolicy(to_text, {.beyond_loopback = parts_.beyond_loopback});
  AddProblems(policy.problems, response->mutable_problems());
  response->set_diff(node::PolicyDiff(from_text, format("version {}", from), to_text, to_name));
  return absl::OkStatus();
}

absl::Status NodeBackend::PolicyApply(const AdminCall& call,
                                      const admin::PolicyApplyRequest& request,
                                      admin::PolicyApplyResponse* response) {
  const auto policy =
      ReadPolicy(request.policy_text(), {.beyond_loopback = parts_.beyond_loopback});
  AddProblems(policy.problems, response->mutable_problems());
  if (!policy.ok()) return absl::OkStatus();
  const uint64_t current = parts_.control.PolicyVersion();
  const uint64_t expected = request.expected_version() == 0 ? current : request.expected_version();
  if (current != 0 && expected == current) {
    const std::optional<PolicyVersionRow> row = parts_.control.FindPolicy(current);
    if (row && CanonicalPolicyText(row->text) == CanonicalPolicyText(request.policy_text())) {
      response->set_version(current);
      response->set_unchanged(true);
      return absl::OkStatus();
    }
  }
  HOLDFAST_RETURN_IF_ERROR(parts_.health.MayStamp());
  command::Command command;
  command::SetPolicy& set = *command.mutable_set_policy();
  set.set_expected_version(expected);
  set.set_policy_text(request.policy_text());
  set.set_actor(call.actor);
  set.set_comment(request.comment());
  set.set_stamped_us(absl::ToUnixMicros(parts_.clock.Now()));
  HOLDFAST_ASSIGN_OR_RETURN(std::string bytes, queue::EncodeCommand(std::move(command)));
  const raft::ProposeResult result = Propose(kControlGroup, {std::move(bytes), {}}, call.deadline);
  if (!result.status.ok()) return result.status;
  response->set_version(expected + 1);
  return absl::OkStatus();
}

absl::Status NodeBackend::PolicyShow(const AdminCall& /*call*/,
                                     const admin::PolicyShowRequest& request,
                                     admin::PolicyShowResponse* response) {
  const uint64_t version =
      request.version() == 0 ? parts_.control.PolicyVersion() : request.version();
  response->mutable_version()->set_version(version);
  if (version == 0) return absl::OkStatus();
  const std::optional<PolicyVersionRow> row = parts_.control.FindPolicy(version);
  if (!row) return MakeStatus(absl::StatusCode::kNotFound, "no policy version {}", version);
  FillVersion(*row, response->mutable_version());
  response->set_policy_text(row->text);
  return absl::OkStatus();
}

absl::Status NodeBackend::PolicyHistory(const AdminCall& /*call*/,
                                        const admin::PolicyHistoryRequest& request,
                                        admin::PolicyHistoryResponse* response) {
  const uint32_t versions_max = request.versions_max() == 0 ? 20 : request.versions_max();
  for (const PolicyVersionRow& row : parts_.control.PolicyHistory(versions_max)) {
    FillVersion(row, response->add_versions());
  }
  return absl::OkStatus();
}

}  // namespace holdfast::node
