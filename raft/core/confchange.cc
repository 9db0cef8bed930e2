#include "raft/core/confchange.h"

#include <string_view>
#include <utility>

#include "base/check.h"

namespace holdfast::raft {
namespace {

// command:  1 | transition(1) | steps(4) | { type(1) node(8) }* | context     little endian
constexpr char kFormat = 1;
constexpr size_t kHeadBytes = 6;
constexpr size_t kStepBytes = 9;

void AppendNumber(uint64_t value, int bytes, std::string& out) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (i * 8)));
}

uint64_t ReadNumber(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  }
  return value;
}

absl::Status Damaged(const Entry& entry, const char* how) {
  return MakeStatus(absl::StatusCode::kDataLoss, "configuration change at index {}: {}",
                    entry.index, how);
}

}  // namespace

bool ConfChange::LeavesJoint() const {
  return transition == ConfChangeTransition::kAuto && steps.empty();
}

bool ConfChange::EntersJoint() const {
  return transition != ConfChangeTransition::kAuto || steps.size() > 1;
}

Entry EncodeConfChange(const ConfChange& change) {
  Entry entry;
  entry.type = change.simple_form ? EntryType::kConfChangeSimple : EntryType::kConfChange;
  HOLDFAST_CHECK(!change.simple_form ||
                 (change.steps.size() == 1 && change.transition == ConfChangeTransition::kAuto))
      << "the simple form holds one step";
  if (change.LeavesJoint() && change.context.empty()) return entry;
  entry.command.push_back(kFormat);
  AppendNumber(static_cast<uint64_t>(change.transition), 1, entry.command);
  AppendNumber(change.steps.size(), 4, entry.command);
  for (const ConfChangeStep& step : change.steps) {
    AppendNumber(static_cast<uint64_t>(step.type), 1, entry.command);
    AppendNumber(step.node.value(), 8, entry.command);
  }
  entry.command += change.context;
  return entry;
}

absl::StatusOr<ConfChange> DecodeConfChange(const Entry& entry) {
  if (entry.type != EntryType::kConfChange && entry.type != EntryType::kConfChangeSimple) {
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "entry {} does not change the configuration", entry.index);
  }
  ConfChange change;
  change.simple_form = entry.type == EntryType::kConfChangeSimple;
  std::string_view rest = entry.command;
  if (rest.empty() && !change.simple_form) return change;
  if (rest.size() < kHeadBytes) return Damaged(entry, "too short");
  if (rest[0] != kFormat) {
    return MakeStatus(absl::StatusCode::kUnimplemented,
                      "configuration change at index {}: format {} is unknown to this build",
                      entry.index, int{rest[0]});
  }
  const uint64_t transition = ReadNumber(rest.substr(1, 1));
  if (transition > static_cast<uint64_t>(ConfChangeTransition::kJointExplicit)) {
    return Damaged(entry, "unknown transition");
  }
  change.transition = static_cast<ConfChangeTransition>(transition);
  const uint64_t count = ReadNumber(rest.substr(2, 4));
  rest.remove_prefix(kHeadBytes);
  if (count > rest.size() / kStepBytes) return Damaged(entry, "steps are missing");
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t type = ReadNumber(rest.substr(0, 1));
    if (type > static_cast<uint64_t>(ConfChangeType::kAddLearner)) {
      return Damaged(entry, "unknown step");
    }
    change.steps.push_back(
        {static_cast<ConfChangeType>(type), NodeId(ReadNumber(rest.substr(1, 8)))});
    rest.remove_prefix(kStepBytes);
  }
  change.context = rest;
  if (change.simple_form && (count != 1 || change.transition != ConfChangeTransition::kAuto)) {
    return Damaged(entry, "the simple form holds one step");
  }
  return change;
}

}  // namespace holdfast::raft
