#include "tests/testing/admin/fake_admin_backend.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "node/config/config_reader.h"
#include "node/control/policy.h"

namespace holdfast::testing {
namespace {

constexpr int64_t kAcceptedSeconds = 1767323045;  // 2026-01-02T03:04:05Z.

std::string DomainOf(const std::string& address) { return address.substr(address.rfind('@') + 1); }

bool Matches(const admin::QueueFilter& filter, const admin::QueueEntry& entry,
             const std::string& recipient) {
  if (!filter.destination().empty() && filter.destination() != entry.destination()) return false;
  if (filter.sender() == "<>" && !entry.sender().empty()) return false;
  if (!filter.sender().empty() && filter.sender() != "<>" && filter.sender() != entry.sender()) {
    return false;
  }
  if (!filter.recipient().empty() && filter.recipient() != recipient) return false;
  return filter.state() == admin::MESSAGE_STATE_UNSET || filter.state() == entry.state();
}

template <typename Response>
bool AddProblems(const std::string& text, Response* response) {
  const auto result = node::ReadPolicy(text);
  for (const node::ConfigProblem& problem : result.problems) {
    admin::PolicyProblem* const added = response->add_problems();
    added->set_line(static_cast<uint32_t>(problem.line));
    added->set_column(static_cast<uint32_t>(problem.column));
    added->set_text(problem.text);
  }
  return !result.ok();
}

const char* ActionName(node::QueueAction action) {
  switch (action) {
    case node::QueueAction::kRetry:
      return "retry";
    case node::QueueAction::kHold:
      return "hold";
    case node::QueueAction::kRelease:
      return "release";
    case node::QueueAction::kRemove:
      return "remove";
    case node::QueueAction::kBounce:
      return "bounce";
    case node::QueueAction::kReroute:
      return "reroute";
  }
  return "";
}

}  // namespace

void FakeAdminBackend::AddMessage(const std::string& queue_id, const std::string& sender,
                                  const std::string& recipient, admin::MessageState state) {
  admin::QueueShowResponse show;
  admin::QueueEntry* const entry = show.mutable_message();
  entry->set_queue_id(queue_id);
  entry->set_state(state);
  entry->mutable_accepted()->set_seconds(kAcceptedSeconds);
  entry->mutable_next_attempt()->set_seconds(kAcceptedSeconds + 300);
  entry->set_bytes(2048);
  entry->set_sender(sender);
  entry->set_recipients(1);
  entry->set_recipients_open(1);
  entry->set_destination(DomainOf(recipient));
  entry->set_last_status("451 4.7.1 try later");
  entry->set_group(1);
  if (state == admin::HELD) entry->set_held_reason("looked at by hand");
  show.mutable_expires()->set_seconds(kAcceptedSeconds + 5 * 86400);
  show.set_message_id("<1@a.example>");
  show.set_client("192.0.2.1:4711");
  admin::RecipientStatus* const status = show.add_recipients();
  status->set_address(recipient);
  status->set_destination(DomainOf(recipient));
  status->set_outcome("open");
  status->set_attempts(2);
  status->set_last_status("451 4.7.1 try later");
  status->set_remote("mx1.b.example [192.0.2.2]:25");
  MutexLock lock(mutex_);
  messages_.push_back(std::move(show));
}

void FakeAdminBackend::FailWith(absl::Status status) {
  MutexLock lock(mutex_);
  failure_ = std::move(status);
}

void FakeAdminBackend::SetLateGroup(uint32_t group, std::string reason) {
  MutexLock lock(mutex_);
  admin::LateGroup& late = *late_groups_.Add();
  late.set_group(group);
  late.set_reason(std::move(reason));
}

void FakeAdminBackend::SetLevels(const Levels& levels) {
  MutexLock lock(mutex_);
  levels_ = levels;
}

std::vector<FakeAdminBackend::SeenCall> FakeAdminBackend::calls() const {
  MutexLock lock(mutex_);
  return calls_;
}

std::vector<std::string> FakeAdminBackend::queue_ids() const {
  MutexLock lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& message : messages_) ids.push_back(message.message().queue_id());
  return ids;
}

absl::Status FakeAdminBackend::Note(const node::AdminCall& call, const std::string& verb,
                                    const std::string& reason) {
  calls_.push_back({verb, call.actor, reason, call.deadline - SystemClock().Now()});
  return failure_;
}

absl::Status FakeAdminBackend::GetStatus(const node::AdminCall& call,
                                         admin::StatusResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "status"));
  response->set_node_id(1);
  response->set_hostname("mail.example.com");
  response->set_version("1.2.3");
  response->mutable_started()->set_seconds(kAcceptedSeconds);
  response->set_ready(true);
  response->set_policy_version(versions_.size());
  response->mutable_queue()->set_messages(messages_.size());
  response->mutable_queue()->set_recipients(messages_.size());
  admin::GroupStatus* const group = response->add_groups();
  group->set_group(1);
  group->set_role("leader");
  group->set_leader_node_id(1);
  group->set_term(7);
  group->set_commit_index(99);
  group->set_applied_index(99);
  response->mutable_traffic()->set_messages_accepted(12);
  response->mutable_storage()->set_disk_free_bytes(uint64_t{5} << 30);
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::ClusterStatus(const node::AdminCall& call,
                                             admin::ClusterStatusResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "cluster status"));
  response->set_cluster_id("trial");
  response->set_node_id(1);
  response->set_feature_level(levels_.agreed);
  response->set_feature_level_possible(levels_.possible);
  admin::ClusterNode& own = *response->add_nodes();
  own.set_node_id(1);
  own.set_address("127.0.0.1:7101");
  own.set_hostname("mail1.example.com");
  own.set_version("1.2.3");
  own.set_feature_level(1);
  own.set_state(admin::UP);
  own.set_heard_ms_ago(0);
  own.set_groups_led(1);
  own.set_leads_control(true);
  own.set_messages_accepted(1234);
  admin::ClusterNode& other = *response->add_nodes();
  other.set_node_id(2);
  other.set_address("127.0.0.1:7102");
  other.set_state(admin::SILENT);
  admin::ClusterGroup& group = *response->add_groups();
  group.set_group(1);
  group.set_leader_node_id(1);
  group.set_home_node_id(2);
  group.set_term(7);
  group.set_commit_index(99);
  group.set_state_version(levels_.of_group);
  admin::ClusterMember& member = *group.add_members();
  member.set_node_id(1);
  member.set_active(true);
  group.add_members()->set_node_id(2);
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::ClusterChecksums(const node::AdminCall& call,
                                                admin::ClusterChecksumsResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "cluster checksums"));
  response->set_node_id(1);
  admin::GroupChecksum& group = *response->add_groups();
  group.set_group(5);
  group.set_applied_index(99);
  group.set_applied_term(7);
  group.set_rows(1234);
  group.set_checksum("0badcafe");
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::ClusterTransfer(const node::AdminCall& call,
                                               const admin::ClusterTransferRequest& request,
                                               admin::ClusterTransferResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "cluster transfer"));
  response->set_leader_node_id(request.to_node_id());
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::ClusterJoin(const node::AdminCall& call,
                                           const admin::ClusterJoinRequest& request,
                                           admin::ClusterMembersResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(
      Note(call, format("cluster join {} {} {} {}", request.node_id(), request.address(),
                        request.replaces_node_id(), request.reason())));
  response->set_groups(13);
  response->set_groups_voting(request.node_id() == 4 ? 13 : 5);
  response->set_groups_learning(13 - response->groups_voting());
  response->set_done(request.node_id() == 4);
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::ClusterRemove(const node::AdminCall& call,
                                             const admin::ClusterRemoveRequest& request,
                                             admin::ClusterMembersResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(
      Note(call, format("cluster remove {} {}", request.node_id(), request.reason())));
  response->set_groups(13);
  response->set_done(true);
  return absl::OkStatus();
}

// Level 9 is slow.
absl::Status FakeAdminBackend::ClusterRaiseLevel(const node::AdminCall& call,
                                                 const admin::ClusterRaiseLevelRequest& request,
                                                 admin::ClusterRaiseLevelResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(
      Note(call, format("cluster raise-level {} {}", request.level(), request.reason())));
  response->set_before(1);
  response->set_level(request.level() == 0 ? 2 : request.level());
  response->set_queue_groups(12);
  response->set_queue_groups_there(request.level() == 9 ? 5 : 12);
  response->set_done(request.level() != 9);
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::NodeDrain(const node::AdminCall& call,
                                         const admin::NodeDrainRequest& request,
                                         admin::NodeDrainResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "node drain"));
  response->set_done(request.deadline_seconds() != 1);
  if (!response->done()) response->set_attempts_running(3);
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::NodeUndrain(const node::AdminCall& call) {
  MutexLock lock(mutex_);
  return Note(call, "node undrain");
}

absl::Status FakeAdminBackend::DestinationList(const node::AdminCall& call,
                                               const admin::DestinationListRequest& request,
                                               admin::DestinationListResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "destination list"));
  response->set_node_id(1);
  std::set<std::string> names;
  for (const auto& message : messages_) names.insert(message.message().destination());
  for (const std::string& name : names) {
    if (static_cast<uint32_t>(response->destinations_size()) == request.rows_max()) break;
    admin::DestinationUse& use = *response->add_destinations();
    use.set_destination(name);
    use.set_running(2);
    use.set_open(3);
    use.set_wanted(12);
    use.set_share(6);
    use.set_limit(20);
    use.set_rate_share(33.25);
    use.set_rate_limit(100);
    use.set_rate_period_seconds(60);
  }
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::QueueSummary(const node::AdminCall& call,
                                            const admin::QueueSummaryRequest&,
                                            admin::QueueSummaryResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "summary"));
  *response->mutable_late_groups() = late_groups_;
  for (const uint32_t minutes : {5, 10}) response->add_age_minutes(minutes);
  std::map<std::string, uint64_t> totals;
  for (const auto& message : messages_) ++totals[message.message().destination()];
  const auto add = [](admin::QueueSummaryRow* row, const std::string& name, uint64_t total) {
    row->set_destination(name);
    row->set_total(total);
    row->add_counts(total);
    row->add_counts(0);
    row->add_counts(0);
  };
  for (const auto& [destination, total] : totals) add(response->add_rows(), destination, total);
  add(response->mutable_total(), "", messages_.size());
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::QueueList(const node::AdminCall& call,
                                         const admin::QueueListRequest& request,
                                         admin::QueueListResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "list"));
  if (request.page_token().empty()) *response->mutable_late_groups() = late_groups_;
  size_t i = request.page_token().empty() ? 0 : std::stoul(request.page_token());
  for (; i < messages_.size(); ++i) {
    if (static_cast<uint32_t>(response->messages_size()) == request.page_size()) {
      response->set_next_page_token(std::to_string(i));
      break;
    }
    const auto& message = messages_[i];
    if (Matches(request.filter(), message.message(), message.recipients(0).address())) {
      *response->add_messages() = message.message();
    }
  }
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::QueueShow(const node::AdminCall& call,
                                         const admin::QueueShowRequest& request,
                                         admin::QueueShowResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "show"));
  for (const auto& message : messages_) {
    if (message.message().queue_id() != request.queue_id()) continue;
    *response = message;
    return absl::OkStatus();
  }
  return MakeStatus(absl::StatusCode::kNotFound, "no message {}", request.queue_id());
}

absl::Status FakeAdminBackend::QueueAct(const node::AdminCall& call, node::QueueAction action,
                                        const admin::QueueActionRequest& request,
                                        admin::QueueActionResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, ActionName(action), request.reason()));
  if (request.queue_ids().empty() && request.cursor().empty()) {
    *response->mutable_late_groups() = late_groups_;
  }
  std::vector<std::string> chosen;
  for (const auto& message : messages_) {
    const std::string& id = message.message().queue_id();
    const bool wanted =
        request.queue_ids_size() > 0
            ? std::count(request.queue_ids().begin(), request.queue_ids().end(), id) > 0
            : Matches(request.filter(), message.message(), message.recipients(0).address());
    // The cursor is the last id touched.
    if (wanted && id > request.cursor()) chosen.push_back(id);
  }
  for (const std::string& id : request.queue_ids()) {
    if (std::count(chosen.begin(), chosen.end(), id) > 0) continue;
    admin::QueueRefusal* const refused = response->add_refused();
    refused->set_queue_id(id);
    refused->set_reason("no such message");
  }
  std::sort(chosen.begin(), chosen.end());
  if (chosen.size() > kTouchedPerCallMax && request.queue_ids_size() == 0) {
    chosen.resize(kTouchedPerCallMax);
    response->set_next_cursor(chosen.back());
  }
  response->set_messages_touched(chosen.size());
  response->set_recipients_touched(chosen.size());
  for (const std::string& id : chosen) response->add_queue_ids(id);
  if (request.dry_run()) return absl::OkStatus();
  const bool ends = action == node::QueueAction::kRemove || action == node::QueueAction::kBounce;
  std::erase_if(messages_, [&](const admin::QueueShowResponse& message) {
    return ends && std::count(chosen.begin(), chosen.end(), message.message().queue_id()) > 0;
  });
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::PolicyCheck(const node::AdminCall& call,
                                           const admin::PolicyCheckRequest& request,
                                           admin::PolicyCheckResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "policy check"));
  AddProblems(request.policy_text(), response);
  return absl::OkStatus();
}

const admin::PolicyShowResponse* FakeAdminBackend::FindVersion(uint64_t version) const {
  static const auto* const kNone = new admin::PolicyShowResponse;
  if (version == 0 && versions_.empty()) return kNone;
  if (version == 0) return &versions_.back();
  return version <= versions_.size() ? &versions_[version - 1] : nullptr;
}

absl::Status FakeAdminBackend::PolicyDiff(const node::AdminCall& call,
                                          const admin::PolicyDiffRequest& request,
                                          admin::PolicyDiffResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "policy diff"));
  const admin::PolicyShowResponse* const from = FindVersion(request.from_version());
  const admin::PolicyShowResponse* const to = FindVersion(request.to_version());
  if (from == nullptr || to == nullptr) {
    return MakeStatus(absl::StatusCode::kNotFound, "no such version");
  }
  const bool given = !request.policy_text().empty();
  if (given && AddProblems(request.policy_text(), response)) return absl::OkStatus();
  response->set_from_version(from->version().version());
  response->set_diff(
      node::PolicyDiff(from->policy_text(), format("version {}", from->version().version()),
                       given ? request.policy_text() : to->policy_text(),
                       given ? "given" : format("version {}", to->version().version())));
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::PolicyApply(const node::AdminCall& call,
                                           const admin::PolicyApplyRequest& request,
                                           admin::PolicyApplyResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "policy apply", request.comment()));
  if (AddProblems(request.policy_text(), response)) return absl::OkStatus();
  if (request.expected_version() != 0 && request.expected_version() != versions_.size()) {
    return MakeStatus(absl::StatusCode::kAborted, "version {} is the current one, not {}",
                      versions_.size(), request.expected_version());
  }
  admin::PolicyShowResponse show;
  show.set_policy_text(request.policy_text());
  show.mutable_version()->set_version(versions_.size() + 1);
  show.mutable_version()->set_actor(call.actor);
  show.mutable_version()->set_comment(request.comment());
  show.mutable_version()->mutable_applied()->set_seconds(kAcceptedSeconds);
  versions_.push_back(show);
  response->set_version(versions_.size());
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::PolicyShow(const node::AdminCall& call,
                                          const admin::PolicyShowRequest& request,
                                          admin::PolicyShowResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "policy show"));
  const admin::PolicyShowResponse* const found = FindVersion(request.version());
  if (found == nullptr) {
    return MakeStatus(absl::StatusCode::kNotFound, "no policy version {}", request.version());
  }
  *response = *found;
  return absl::OkStatus();
}

absl::Status FakeAdminBackend::PolicyHistory(const node::AdminCall& call,
                                             const admin::PolicyHistoryRequest& request,
                                             admin::PolicyHistoryResponse* response) {
  MutexLock lock(mutex_);
  HOLDFAST_RETURN_IF_ERROR(Note(call, "policy history"));
  for (size_t i = versions_.size(); i > 0; --i) {
    if (static_cast<uint32_t>(response->versions_size()) == request.versions_max()) break;
    *response->add_versions() = versions_[i - 1].version();
  }
  return absl::OkStatus();
}

}  // namespace holdfast::testing
