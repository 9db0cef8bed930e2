#include "node/groups/control_machine.h"

#include <string>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "node/config/config_reader.h"
#include "proto/command.pb.h"

namespace holdfast::node {
namespace {

// The first key behind all that begin with `prefix`; empty: none.
std::string EndOfPrefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

constexpr size_t kScanRowsMax = 100'000;
constexpr std::string_view kWhatIsAtALevel = "this cluster";

// The control group's rows, read through a batch or through committed state.
class BatchTables final : public ControlTables {
 public:
  // `batch` is null for reading alone.
  BatchTables(const raft::StateReader& reader, raft::StateBatch* batch)
      : reader_(reader), batch_(batch) {}

  std::optional<std::string> Get(std::string_view key) const override {
    absl::StatusOr<std::optional<std::string>> row = reader_.Get(key);
    HOLDFAST_CHECK(row.ok()) << "control rows: " << row.status();
    return *std::move(row);
  }
  void Put(std::string_view key, std::string_view value) override {
    HOLDFAST_CHECK(batch_ != nullptr);
    batch_->Put(key, value);
  }
  void Delete(std::string_view key) override {
    HOLDFAST_CHECK(batch_ != nullptr);
    batch_->Delete(key);
  }
  void Scan(std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    const absl::StatusOr<raft::ScanEnd> end =
        reader_.Scan(from > prefix ? from : prefix, EndOfPrefix(prefix), kScanRowsMax, visit);
    HOLDFAST_CHECK(end.ok()) << "control rows: " << end.status();
  }

 private:
  const raft::StateReader& reader_;
  raft::StateBatch* const batch_;
};

}  // namespace

std::vector<NodeRow> ReadNodes(const raft::StateReader& rows) {
  BatchTables tables(rows, nullptr);
  return ControlState(tables).Nodes();
}

ControlMachine::ControlMachine(std::unique_ptr<raft::StateReader> reader, PolicyHolder& holder,
                               Admission& admission, FeatureLevel& level, NodesCallback on_nodes)
    : reader_(std::move(reader)),
      holder_(holder),
      admission_(admission),
      level_(level),
      on_nodes_(std::move(on_nodes)) {}

absl::Status ControlMachine::Load() {
  HOLDFAST_RETURN_IF_ERROR(level_.Check(StoredLevel(), kWhatIsAtALevel));
  PublishLevel();
  HOLDFAST_RETURN_IF_ERROR(Publish());
  PublishNodes();
  return absl::OkStatus();
}

void ControlMachine::PublishNodes() {
  BatchTables tables(*reader_, nullptr);
  const ControlState state(tables);
  on_nodes_(state.Nodes(), state.NodesVersion());
}

uint32_t ControlMachine::StoredLevel() const {
  BatchTables tables(*reader_, nullptr);
  return ControlState(tables).FeatureLevel();
}

void ControlMachine::PublishLevel() {
  const uint32_t level = StoredLevel();
  if (level != level_.agreed()) Log(LogLevel::kInfo, "feature_level", {{"level", level}});
  level_.Agree(level);
}

absl::Status ControlMachine::Apply(const raft::CommittedEntry& entry, raft::StateBatch& batch) {
  command::Command command;
  HOLDFAST_CHECK(
      command.ParseFromArray(entry.command.data(), static_cast<int>(entry.command.size())))
      << "control command at " << entry.index << " can't be parsed";
  HOLDFAST_CHECK(ControlState::Knows(command))
      << "control command at " << entry.index
      << " is newer than this build: upgrade this node before the cluster uses new features";
  BatchTables tables(batch, &batch);
  if (ControlState(tables).Raises(command)) {
    HOLDFAST_RETURN_IF_ERROR(
        level_.CheckOrEnd(command.raise_feature_level().level(), kWhatIsAtALevel));
  }
  const ControlResult result =
      ControlState(tables).Apply(command, static_cast<int64_t>(entry.index));
  policy_changed_ |= result.policy_changed;
  nodes_changed_ |= result.nodes_changed;
  level_changed_ |= result.level_changed;
  switch (result.verdict) {
    case ControlVerdict::kApplied:
      return absl::OkStatus();
    case ControlVerdict::kConflict:
      return MakeStatus(absl::StatusCode::kAborted,
                        "the policy is at version {} by now: look at it and apply again",
                        result.policy_version);
    case ControlVerdict::kTooLarge:
      return absl::InvalidArgumentError("the policy text is too large");
    case ControlVerdict::kKnownNode:
      return absl::AlreadyExistsError(
          "this node id was used before, and ids are not used twice: choose another one");
    case ControlVerdict::kUnknownNode:
      return absl::NotFoundError("no such node was added to the cluster, or it was removed");
    case ControlVerdict::kListChanged:
      return absl::AbortedError(
          "the members changed meanwhile: look at `holdfast cluster status` and decide again");
    case ControlVerdict::kOtherToken:
      return absl::FailedPreconditionError(
          "this node has begun before, with another data directory: if that is lost, let a node "
          "with a new id join in its place");
    case ControlVerdict::kReplacing:
      return absl::FailedPreconditionError(
          "this node is just taking the place of another one: let that finish, or let a third one "
          "join in its place");
    case ControlVerdict::kOtherLevel:
      return absl::AbortedError(
          "the cluster's feature level or its members changed meanwhile: look at `holdfast cluster "
          "status`, and try again");
  }
  return absl::InternalError("unknown verdict");
}

void ControlMachine::OnCommitted(raft::LogIndex /*last*/) {
  if (std::exchange(policy_changed_, false)) PublishOrLog();
  if (std::exchange(nodes_changed_, false)) PublishNodes();
  if (std::exchange(level_changed_, false)) PublishLevel();
}

absl::Status ControlMachine::LiveBodies(const raft::StateReader& /*rows*/,
                                        const BodyVisitor& /*visit*/) const {
  return absl::OkStatus();
}

void ControlMachine::OnSnapshotInstalled(raft::LogIndex /*last*/) {
  policy_changed_ = false;
  nodes_changed_ = false;
  level_changed_ = false;
  if (!level_.CheckOrEnd(StoredLevel(), kWhatIsAtALevel).ok()) return;
  PublishLevel();
  PublishOrLog();
  PublishNodes();
}

void ControlMachine::PublishOrLog() {
  if (absl::Status status = Publish(); !status.ok()) {
    // It was checked before it was proposed: this build knows less than the one that checked.
    Log(LogLevel::kError, "policy_not_usable", {{"reason", Message(status)}});
  }
}

void ControlMachine::OnLeaderChange(bool leader, raft::Term /*term*/) {
  leads_.store(leader, std::memory_order_release);
}

absl::Status ControlMachine::Publish() {
  BatchTables tables(*reader_, nullptr);
  const ControlState state(tables);
  const uint64_t version = state.CurrentPolicyVersion();
  std::string text;
  if (version != 0) {
    const std::optional<PolicyVersionRow> row = state.FindPolicy(version);
    HOLDFAST_CHECK(row.has_value()) << "policy " << version << " has no row";
    text = row->text;
  }
  const ConfigResult<PolicySettings> policy = ReadPolicy(text);
  if (!policy.ok()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "policy version {}: {}", version,
                      policy.ProblemText("policy"));
  }
  auto snapshot = std::make_shared<const PolicySnapshot>(version, policy.settings);
  HOLDFAST_RETURN_IF_ERROR(admission_.OnPolicy(snapshot));
  holder_.Publish(std::move(snapshot));
  if (version != 0) Log(LogLevel::kInfo, "policy_in_effect", {{"version", version}});
  return absl::OkStatus();
}

uint64_t ControlMachine::PolicyVersion() const {
  BatchTables tables(*reader_, nullptr);
  return ControlState(tables).CurrentPolicyVersion();
}

std::optional<PolicyVersionRow> ControlMachine::FindPolicy(uint64_t version) const {
  BatchTables tables(*reader_, nullptr);
  return ControlState(tables).FindPolicy(version);
}

std::vector<PolicyVersionRow> ControlMachine::PolicyHistory(uint32_t versions_max) const {
  BatchTables tables(*reader_, nullptr);
  return ControlState(tables).PolicyHistory(versions_max);
}

}  // namespace holdfast::node
