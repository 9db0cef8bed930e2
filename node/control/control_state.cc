#include "node/control/control_state.h"

#include <google/protobuf/message.h>

#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "node/control/control_rows.h"
#include "node/control/feature_level.h"
#include "proto/command.pb.h"

namespace holdfast::node {
namespace {

// Keys. Numbers in them are eight bytes, most significant first, so that they sort.
constexpr std::string_view kCurrentVersionKey = "policy/current";
constexpr std::string_view kVersionPrefix = "policy/version/";
constexpr std::string_view kLevelKey = "feature/level";
constexpr std::string_view kAuditLastKey = "audit/last";
constexpr std::string_view kAuditPrefix = "audit/line/";

constexpr uint32_t kCommandFormat = 1;

PolicyVersionRow ReadVersionRow(std::string_view value, bool with_text) {
  RowReader in(value);
  PolicyVersionRow row;
  row.version = in.Number();
  row.stamped_us = static_cast<int64_t>(in.Number());
  row.actor = in.Text();
  row.comment = in.Text();
  if (with_text) row.text = in.Text();
  return row;
}

AuditRow ReadAuditRow(std::string_view value) {
  RowReader in(value);
  AuditRow row;
  row.number = in.Number();
  row.index = static_cast<int64_t>(in.Number());
  row.stamped_us = static_cast<int64_t>(in.Number());
  row.actor = in.Text();
  row.verb = in.Text();
  row.reason = in.Text();
  row.detail = in.Text();
  return row;
}

bool HasUnknownFields(const google::protobuf::Message& message) {
  const google::protobuf::Reflection* const reflection = message.GetReflection();
  return !reflection->GetUnknownFields(message).empty();
}

bool IsRise(const command::RaiseFeatureLevel& raise, uint32_t current, uint64_t list_version) {
  return raise.expected_level() == current && raise.level() > current &&
         raise.expected_list_version() == list_version + 1;
}

}  // namespace

ControlState::ControlState(ControlTables& tables, ControlOptions options)
    : tables_(tables), options_(options) {}

bool ControlState::Knows(const command::Command& command) {
  if (command.format() != kCommandFormat || HasUnknownFields(command)) return false;
  switch (command.kind_case()) {
    case command::Command::kSetPolicy:
      return !HasUnknownFields(command.set_policy());
    case command::Command::kAudit:
      return !HasUnknownFields(command.audit());
    case command::Command::kAddNode:
      return !HasUnknownFields(command.add_node());
    case command::Command::kAdmitNode:
      return !HasUnknownFields(command.admit_node());
    case command::Command::kRemoveNode:
      return !HasUnknownFields(command.remove_node());
    case command::Command::kRaiseFeatureLevel:
      return !HasUnknownFields(command.raise_feature_level());
    default:
      return false;
  }
}

ControlResult ControlState::Apply(const command::Command& command, int64_t index) {
  HOLDFAST_CHECK(Knows(command)) << "the control group's entry " << index
                                 << " was written by a newer build; upgrade this node";
  switch (command.kind_case()) {
    case command::Command::kSetPolicy:
      return ApplySetPolicy(command.set_policy(), index);
    case command::Command::kAddNode:
    case command::Command::kAdmitNode:
    case command::Command::kRemoveNode:
      return ApplyNodes(command, index);
    case command::Command::kRaiseFeatureLevel:
      return ApplyLevel(command.raise_feature_level(), index);
    default:
      AppendAudit(command.audit(), index);
      return ControlResult{ControlVerdict::kApplied, CurrentPolicyVersion()};
  }
}

ControlResult ControlState::ApplyNodes(const command::Command& command, int64_t index) {
  ControlResult result{ControlVerdict::kApplied, CurrentPolicyVersion()};
  ControlNodes nodes(tables_);
  command::Audit audit;
  if (command.has_add_node()) {
    const command::AddNode& add = command.add_node();
    result.verdict = nodes.Add(add);
    audit.set_actor(add.actor());
    audit.set_verb("cluster join");
    audit.set_reason(add.reason());
    audit.set_detail(add.replaces_node_id() == 0
                         ? format("node {} at {}", add.node_id(), add.address())
                         : format("node {} at {} in the place of node {}", add.node_id(),
                                  add.address(), add.replaces_node_id()));
    audit.set_stamped_us(add.stamped_us());
  } else if (command.has_remove_node()) {
    const command::RemoveNode& remove = command.remove_node();
    result.verdict = nodes.Remove(remove);
    audit.set_actor(remove.actor());
    audit.set_verb("cluster remove");
    audit.set_reason(remove.reason());
    audit.set_detail(format("node {}", remove.node_id()));
    audit.set_stamped_us(remove.stamped_us());
  } else {
    result.verdict = nodes.Admit(command.admit_node());
  }
  result.nodes_changed = result.verdict == ControlVerdict::kApplied;
  if (result.nodes_changed && !audit.verb().empty()) AppendAudit(audit, index);
  return result;
}

ControlResult ControlState::ApplyLevel(const command::RaiseFeatureLevel& raise, int64_t index) {
  ControlResult result{ControlVerdict::kOtherLevel, CurrentPolicyVersion()};
  const uint32_t current = FeatureLevel();
  if (!IsRise(raise, current, NodesVersion())) return result;
  WriteCounter(kLevelKey, raise.level());
  command::Audit audit;
  audit.set_actor(raise.actor());
  audit.set_verb("cluster raise-level");
  audit.set_reason(raise.reason());
  audit.set_detail(format("from {} to {}", current, raise.level()));
  audit.set_stamped_us(raise.stamped_us());
  AppendAudit(audit, index);
  result.verdict = ControlVerdict::kApplied;
  result.level_changed = true;
  return result;
}

uint32_t ControlState::FeatureLevel() const {
  const uint64_t level = ReadCounter(kLevelKey);
  return level == 0 ? kFirstFeatureLevel : static_cast<uint32_t>(level);
}

bool ControlState::Raises(const command::Command& command) const {
  return command.has_raise_feature_level() &&
         IsRise(command.raise_feature_level(), FeatureLevel(), NodesVersion());
}

uint64_t ControlState::NodesVersion() const { return ControlNodes(tables_).Version(); }

std::vector<NodeRow> ControlState::Nodes() const { return ControlNodes(tables_).All(); }

ControlResult ControlState::ApplySetPolicy(const command::SetPolicy& set, int64_t index) {
  const uint64_t current = CurrentPolicyVersion();
  if (set.expected_version() != current) return {ControlVerdict::kConflict, current};
  if (set.policy_text().size() > options_.policy_bytes_max) {
    return {ControlVerdict::kTooLarge, current};
  }
  const uint64_t version = current + 1;
  tables_.Put(NumberedKey(kVersionPrefix, version),
              RowWriter()
                  .Number(version)
                  .Number(static_cast<uint64_t>(set.stamped_us()))
                  .Text(set.actor())
                  .Text(set.comment())
                  .Text(set.policy_text())
                  .row());
  WriteCounter(kCurrentVersionKey, version);
  if (version > options_.policy_versions_max) {
    tables_.Delete(NumberedKey(kVersionPrefix, version - options_.policy_versions_max));
  }
  command::Audit audit;
  audit.set_actor(set.actor());
  audit.set_verb("policy apply");
  audit.set_reason(set.comment());
  audit.set_detail(format("version {}", version));
  audit.set_stamped_us(set.stamped_us());
  AppendAudit(audit, index);
  return {ControlVerdict::kApplied, version, /*policy_changed=*/true};
}

void ControlState::AppendAudit(const command::Audit& audit, int64_t index) {
  const uint64_t number = ReadCounter(kAuditLastKey) + 1;
  tables_.Put(NumberedKey(kAuditPrefix, number),
              RowWriter()
                  .Number(number)
                  .Number(static_cast<uint64_t>(index))
                  .Number(static_cast<uint64_t>(audit.stamped_us()))
                  .Text(audit.actor())
                  .Text(audit.verb())
                  .Text(audit.reason())
                  .Text(audit.detail())
                  .row());
  WriteCounter(kAuditLastKey, number);
  if (number > options_.audit_lines_max) {
    tables_.Delete(NumberedKey(kAuditPrefix, number - options_.audit_lines_max));
  }
}

uint64_t ControlState::ReadCounter(std::string_view key) const {
  const std::optional<std::string> row = tables_.Get(key);
  return row ? RowReader(*row).Number() : 0;
}

void ControlState::WriteCounter(std::string_view key, uint64_t value) {
  tables_.Put(key, RowWriter().Number(value).row());
}

uint64_t ControlState::CurrentPolicyVersion() const { return ReadCounter(kCurrentVersionKey); }

std::optional<PolicyVersionRow> ControlState::FindPolicy(uint64_t version) const {
  const std::optional<std::string> row = tables_.Get(NumberedKey(kVersionPrefix, version));
  if (!row) return std::nullopt;
  return ReadVersionRow(*row, /*with_text=*/true);
}

std::vector<PolicyVersionRow> ControlState::PolicyHistory(uint32_t versions_max) const {
  std::vector<PolicyVersionRow> rows;
  for (uint64_t version = CurrentPolicyVersion(); version > 0 && rows.size() < versions_max;
       --version) {
    const std::optional<std::string> row = tables_.Get(NumberedKey(kVersionPrefix, version));
    if (!row) break;
    rows.push_back(ReadVersionRow(*row, /*with_text=*/false));
  }
  return rows;
}

std::vector<AuditRow> ControlState::AuditTrail(uint64_t number_from, uint32_t lines_max) const {
  std::vector<AuditRow> rows;
  if (lines_max == 0) return rows;
  tables_.Scan(kAuditPrefix, NumberedKey(kAuditPrefix, number_from),
               [&](std::string_view, std::string_view value) {
                 rows.push_back(ReadAuditRow(value));
                 return rows.size() < lines_max;
               });
  return rows;
}

}  // namespace holdfast::node
