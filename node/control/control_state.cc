#include "node/control/control_state.h"

#include <google/protobuf/message.h>

#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "proto/command.pb.h"

namespace holdfast::node {
namespace {

// Keys. Numbers in them are eight bytes, most significant first, so that they sort.
constexpr std::string_view kCurrentVersionKey = "policy/current";
constexpr std::string_view kVersionPrefix = "policy/version/";
constexpr std::string_view kAuditLastKey = "audit/last";
constexpr std::string_view kAuditPrefix = "audit/line/";

// Values begin with this number; then numbers of eight bytes and texts behind their length.
constexpr char kRowFormat = 1;
constexpr uint32_t kCommandFormat = 1;

void AppendNumber(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

uint64_t NumberAt(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string NumberedKey(std::string_view prefix, uint64_t number) {
  std::string key(prefix);
  AppendNumber(key, number);
  return key;
}

class RowWriter {
 public:
  RowWriter& Number(uint64_t value) {
    AppendNumber(row_, value);
    return *this;
  }
  RowWriter& Text(std::string_view text) {
    AppendNumber(row_, text.size());
    row_ += text;
    return *this;
  }
  const std::string& row() const { return row_; }

 private:
  std::string row_{kRowFormat};
};

// Rows are ours and were checksummed by the store: a malformed one is a broken invariant.
class RowReader {
 public:
  explicit RowReader(std::string_view row) : rest_(row) {
    HOLDFAST_CHECK(!rest_.empty() && rest_[0] == kRowFormat) << "control row of unknown format";
    rest_.remove_prefix(1);
  }
  uint64_t Number() {
    HOLDFAST_CHECK(rest_.size() >= 8) << "control row cut short";
    const uint64_t value = NumberAt(rest_);
    rest_.remove_prefix(8);
    return value;
  }
  std::string Text() {
    const uint64_t size = Number();
    HOLDFAST_CHECK(rest_.size() >= size) << "control row cut short";
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
  }

 private:
  std::string_view rest_;
};

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
    default:
      return false;
  }
}

ControlResult ControlState::Apply(const command::Command& command, int64_t index) {
  HOLDFAST_CHECK(Knows(command)) << "the control group's entry " << index
                                 << " was written by a newer build; upgrade this node";
  if (command.kind_case() == command::Command::kSetPolicy) {
    return ApplySetPolicy(command.set_policy(), index);
  }
  AppendAudit(command.audit(), index);
  return ControlResult{ControlVerdict::kApplied, CurrentPolicyVersion(), false};
}

ControlResult ControlState::ApplySetPolicy(const command::SetPolicy& set, int64_t index) {
  const uint64_t current = CurrentPolicyVersion();
  if (set.expected_version() != current) return {ControlVerdict::kConflict, current, false};
  if (set.policy_text().size() > options_.policy_bytes_max) {
    return {ControlVerdict::kTooLarge, current, false};
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
  return {ControlVerdict::kApplied, version, true};
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
