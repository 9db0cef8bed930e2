#include "tests/raft/describe.h"

#include <charconv>

namespace holdfast::raft_test {
namespace {

using raft::ConfChangeType;
using raft::EntryType;
using raft::MessageType;
using raft::ProgressState;
using raft::Role;

std::string List(const std::vector<NodeId>& nodes) {
  std::string out;
  for (NodeId node : nodes) out += format("{}{}", out.empty() ? "" : " ", node.value());
  return out;
}

std::string Set(const raft::NodeSet& nodes) {
  return format("({})", List({nodes.begin(), nodes.end()}));
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += format("\\{}", static_cast<char>(c));
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < 0x20 || c >= 0x7f) {
      out += format("\\x{:02x}", c);
    } else {
      out.push_back(static_cast<char>(c));
    }
  }
  return out + "\"";
}

std::string_view EntryTypeName(EntryType type) {
  switch (type) {
    case EntryType::kNormal:
      return "EntryNormal";
    case EntryType::kConfChangeSimple:
      return "EntryConfChange";
    case EntryType::kConfChange:
      return "EntryConfChangeV2";
  }
  return "?";
}

std::string_view StateName(ProgressState state) {
  switch (state) {
    case ProgressState::kProbe:
      return "StateProbe";
    case ProgressState::kReplicate:
      return "StateReplicate";
    case ProgressState::kSnapshot:
      return "StateSnapshot";
  }
  return "?";
}

char StepLetter(ConfChangeType type) {
  switch (type) {
    case ConfChangeType::kAddVoter:
      return 'v';
    case ConfChangeType::kRemove:
      return 'r';
    case ConfChangeType::kUpdate:
      return 'u';
    case ConfChangeType::kAddLearner:
      return 'l';
  }
  return '?';
}

std::string DescribeIndented(const std::string& indent, const ScriptMessage& script) {
  const raft::Message& m = script.message;
  std::string out = format("{}{}->{} {} Term:{} Log:{}/{}", indent, Describe(m.from),
                           Describe(m.to), script.type, m.term, m.log_term, m.index);
  if (m.reject) out += format(" Rejected (Hint: {})", m.reject_hint);
  if (m.commit != 0) out += format(" Commit:{}", m.commit);
  if (script.vote != raft::kNoNode) out += format(" Vote:{}", script.vote.value());
  if (m.entries.size() == 1) {
    out += format(" Entries:[{}]", Describe(m.entries.front()));
  } else if (m.entries.size() > 1) {
    out += " Entries:[";
    for (const raft::Entry& entry : m.entries) out += format("\n{}  {}", indent, Describe(entry));
    out += format("\n{}]", indent);
  }
  if (m.snapshot && !m.snapshot->empty()) {
    out += format("\n{}  Snapshot: {}", indent, Describe(*m.snapshot));
  }
  if (!script.responses.empty()) {
    out += " Responses:[";
    for (const ScriptMessage& response : script.responses) {
      out += "\n" + DescribeIndented(indent + "  ", response);
    }
    out += format("\n{}]", indent);
  }
  return out;
}

}  // namespace

std::string Describe(NodeId node) {
  if (node == raft::kNoNode) return "None";
  if (node == raft::kAppendWorker) return "AppendThread";
  if (node == raft::kApplyWorker) return "ApplyThread";
  return format("{:x}", node.value());
}

std::string Describe(const raft::HardState& state) {
  std::string out = format("Term:{}", state.term);
  if (state.vote != raft::kNoNode) out += format(" Vote:{}", state.vote.value());
  return out + format(" Commit:{}", state.commit);
}

std::string Describe(const raft::SoftState& state) {
  return format("Lead:{} State:{}", state.leader.value(), RoleName(state.role));
}

std::string Describe(const raft::ConfState& state) {
  return format("Voters:[{}] VotersOutgoing:[{}] Learners:[{}] LearnersNext:[{}] AutoLeave:{}",
                List(state.voters), List(state.voters_outgoing), List(state.learners),
                List(state.learners_next), state.auto_leave);
}

std::string Describe(const raft::Snapshot& snapshot) {
  return format("Index:{} Term:{} ConfState:{}", snapshot.index, snapshot.term,
                Describe(snapshot.conf_state));
}

std::string Describe(const raft::Entry& entry) {
  std::string text;
  if (entry.type == EntryType::kNormal) {
    text = Quoted(entry.command);
  } else if (auto change = raft::DecodeConfChange(entry); change.ok()) {
    text = DescribeSteps(change->steps);
  } else {
    text = Message(change.status());
  }
  return format("{}/{} {}{}{}", entry.term, entry.index, EntryTypeName(entry.type),
                text.empty() ? "" : " ", text);
}

std::string Describe(const std::vector<raft::Entry>& entries) {
  std::string out;
  for (const raft::Entry& entry : entries) out += Describe(entry) + "\n";
  return out;
}

std::string Describe(const raft::ProgressStatus& progress) {
  std::string out =
      format("{} match={} next={}", StateName(progress.state), progress.match, progress.next);
  if (progress.learner) out += " learner";
  if (progress.paused) out += " paused";
  if (progress.pending_snapshot > 0) out += format(" pendingSnap={}", progress.pending_snapshot);
  if (!progress.recent_active) out += " inactive";
  if (progress.inflight_messages > 0) {
    out += format(" inflight={}{}", progress.inflight_messages,
                  progress.inflight_full ? "[full]" : "");
  }
  return out;
}

std::string Describe(const std::map<NodeId, raft::ProgressStatus>& progress) {
  std::string out;
  for (const auto& [node, status] : progress) {
    out += format("{}: {}\n", node.value(), Describe(status));
  }
  return out;
}

std::string Describe(const raft::Configuration& configuration) {
  const raft::JointQuorum& voters = configuration.voters;
  std::string out = "voters=" + Set(voters.incoming);
  if (voters.joint()) out += "&&" + Set(voters.outgoing);
  if (!configuration.learners.empty()) out += " learners=" + Set(configuration.learners);
  if (!configuration.learners_next.empty()) {
    out += " learners_next=" + Set(configuration.learners_next);
  }
  return configuration.auto_leave ? out + " autoleave" : out;
}

raft::ProgressStatus StatusOf(const raft::Progress& progress) {
  return {.match = progress.match(),
          .next = progress.next(),
          .state = progress.state(),
          .pending_snapshot = progress.pending_snapshot(),
          .recent_active = progress.recent_active(),
          .paused = progress.paused(),
          .learner = progress.learner(),
          .inflight_messages = progress.inflights().messages(),
          .inflight_bytes = progress.inflights().bytes(),
          .inflight_full = progress.inflights().full()};
}

std::string Describe(const raft::ProgressMap& progress) {
  std::map<NodeId, raft::ProgressStatus> statuses;
  for (const auto& [node, one] : progress) statuses[node] = StatusOf(one);
  return Describe(statuses);
}

std::string Describe(const ScriptMessage& message) { return DescribeIndented("", message); }

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kFollower:
      return "StateFollower";
    case Role::kCandidate:
      return "StateCandidate";
    case Role::kLeader:
      return "StateLeader";
    case Role::kPreCandidate:
      return "StatePreCandidate";
  }
  return "?";
}

std::string_view MessageTypeName(MessageType type) {
  static const std::map<MessageType, std::string_view> kNames = {
      {MessageType::kAppendStored, "MsgStorageAppendResp"},
      {MessageType::kPropose, "MsgProp"},
      {MessageType::kAppend, "MsgApp"},
      {MessageType::kAppendResponse, "MsgAppResp"},
      {MessageType::kVote, "MsgVote"},
      {MessageType::kVoteResponse, "MsgVoteResp"},
      {MessageType::kSnapshot, "MsgSnap"},
      {MessageType::kHeartbeat, "MsgHeartbeat"},
      {MessageType::kHeartbeatResponse, "MsgHeartbeatResp"},
      {MessageType::kTransferLeader, "MsgTransferLeader"},
      {MessageType::kTimeoutNow, "MsgTimeoutNow"},
      {MessageType::kReadIndex, "MsgReadIndex"},
      {MessageType::kReadIndexResponse, "MsgReadIndexResp"},
      {MessageType::kPreVote, "MsgPreVote"},
      {MessageType::kPreVoteResponse, "MsgPreVoteResp"},
  };
  auto found = kNames.find(type);
  return found == kNames.end() ? "?" : found->second;
}

std::string DescribeSteps(const std::vector<raft::ConfChangeStep>& steps) {
  std::string out;
  for (const raft::ConfChangeStep& step : steps) {
    out += format("{}{}{}", out.empty() ? "" : " ", StepLetter(step.type), step.node.value());
  }
  return out;
}

absl::StatusOr<std::vector<raft::ConfChangeStep>> ParseSteps(std::string_view text) {
  std::vector<raft::ConfChangeStep> steps;
  while (true) {
    const size_t from = text.find_first_not_of(" \n\t");
    if (from == std::string_view::npos) return steps;
    text.remove_prefix(from);
    const std::string_view word = text.substr(0, text.find_first_of(" \n\t"));
    text.remove_prefix(word.size());
    uint64_t node = 0;
    const auto parsed = std::from_chars(word.data() + 1, word.data() + word.size(), node);
    const size_t type = std::string_view("vrul").find(word.front());
    if (word.size() < 2 || type == std::string_view::npos || parsed.ec != std::errc() ||
        parsed.ptr != word.data() + word.size()) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, "unknown input: {}", word);
    }
    steps.push_back({static_cast<ConfChangeType>(type), NodeId(node)});
  }
}

}  // namespace holdfast::raft_test
