#include <algorithm>
#include <memory>

#include "base/check.h"
#include "raft/core/membership.h"
#include "raft/core/quorum.h"
#include "tests/raft/apart.h"
#include "tests/raft/describe.h"
#include "tests/raft/script_handlers.h"

namespace holdfast::raft_test {
namespace {

using raft::CommittedIndex;
using raft::JointQuorum;
using raft::LogIndex;
using raft::NodeSet;
using raft::VoteResult;
using Acked = std::map<NodeId, LogIndex>;

// The arguments of a quorum command. `given` holds what each voter said, in the order in which the
// voters are first named, incoming before outgoing; who said nothing ("_") is missing.
struct QuorumCase {
  NodeSet incoming;
  NodeSet outgoing;
  bool joint = false;
  std::map<NodeId, std::string> given;
};

absl::StatusOr<QuorumCase> ParseQuorumCase(const ScriptCommand& command) {
  QuorumCase result;
  std::vector<NodeId> order;
  std::vector<std::string> said;
  for (const ScriptArgument& argument : command.arguments) {
    if (argument.key == "idx" || argument.key == "votes") {
      said = argument.values;
      continue;
    }
    const bool outgoing = argument.key == "cfgj";
    if (!outgoing && argument.key != "cfg") {
      return MakeStatus(absl::StatusCode::kInvalidArgument, "unknown arg {}", argument.key);
    }
    result.joint = result.joint || outgoing;
    for (const std::string& value : argument.values) {
      if (value == "zero") continue;
      const NodeId node(std::stoull(value));
      (outgoing ? result.outgoing : result.incoming).insert(node);
      if (std::find(order.begin(), order.end(), node) == order.end()) order.push_back(node);
    }
  }
  if (order.size() != said.size()) {
    std::string voters;
    for (NodeId node : NodeSet(order.begin(), order.end())) {
      voters += format("{}{}", voters.empty() ? "" : " ", node.value());
    }
    return MakeStatus(absl::StatusCode::kInvalidArgument,
                      "error: mismatched input (explicit or _) for voters [{}]: {} given", voters,
                      said.size());
  }
  for (size_t i = 0; i < order.size(); ++i) {
    if (said[i] != "_") result.given[order[i]] = said[i];
  }
  return result;
}

std::string Number(LogIndex index) { return index == ~LogIndex{0} ? "∞" : std::to_string(index); }

// A bar for each voter: the more voters are behind it, the longer.
std::string Chart(const NodeSet& voters, const Acked& acked) {
  if (voters.empty()) return "<empty majority quorum>";
  auto index_of = [&acked](NodeId node) {
    auto found = acked.find(node);
    return found == acked.end() ? LogIndex{0} : found->second;
  };
  std::string out = std::string(voters.size(), ' ') + "    idx\n";
  for (NodeId node : voters) {
    const LogIndex index = index_of(node);
    const auto behind = static_cast<size_t>(std::count_if(
        voters.begin(), voters.end(), [&](NodeId other) { return index_of(other) < index; }));
    out += acked.contains(node)
               ? std::string(behind, 'x') + ">" + std::string(voters.size() - behind, ' ')
               : "?" + std::string(voters.size(), ' ');
    out += format(" {:5}    (id={})\n", index, node.value());
  }
  return out;
}

// The same number found in other ways; prints those that differ.
std::string CrossCheck(const QuorumCase& input, const Acked& acked, LogIndex committed) {
  std::string out;
  auto expect = [&](LogIndex other, std::string_view how) {
    if (other != committed) out += format("{} <-- via {}\n", Number(other), how);
  };
  if (input.joint) {
    expect(JointQuorum{input.outgoing, input.incoming}.Committed(acked), "symmetry");
    return out;
  }
  expect(JointQuorum{input.incoming, {}}.Committed(acked), "zero-joint quorum");
  expect(JointQuorum{input.incoming, input.incoming}.Committed(acked), "self-joint quorum");
  // By definition: the largest index that a majority has reached.
  LogIndex by_definition = input.incoming.empty() ? ~LogIndex{0} : 0;
  for (const auto& [candidate_node, candidate] : acked) {
    size_t reached = 0;
    for (const auto& [node, index] : acked) reached += index >= candidate ? 1 : 0;
    if (reached > input.incoming.size() / 2) by_definition = std::max(by_definition, candidate);
  }
  expect(by_definition, "alternative computation");
  for (const auto& [node, index] : acked) {
    if (index >= committed) continue;
    // Who is below the committed index may fall further without changing it.
    for (LogIndex lower : {index - 1, LogIndex{0}}) {
      Acked lowered = acked;
      lowered[node] = lower;
      expect(CommittedIndex(input.incoming, lowered), format("overlaying {}", node.value()));
    }
  }
  return out;
}

std::string Committed(const QuorumCase& input) {
  Acked acked;
  for (const auto& [node, text] : input.given) acked[node] = std::stoull(text);
  const JointQuorum quorum{input.incoming, input.outgoing};
  const LogIndex committed = quorum.Committed(acked);
  return Chart(quorum.All(), acked) + CrossCheck(input, acked, committed) + Number(committed) +
         "\n";
}

std::string_view VoteName(VoteResult result) {
  switch (result) {
    case VoteResult::kPending:
      return "VotePending";
    case VoteResult::kLost:
      return "VoteLost";
    case VoteResult::kWon:
      return "VoteWon";
  }
  return "?";
}

std::string Vote(const QuorumCase& input) {
  std::map<NodeId, bool> votes;
  for (const auto& [node, text] : input.given) votes[node] = text == "y";
  const VoteResult result = JointQuorum{input.incoming, input.outgoing}.Count(votes);
  const VoteResult swapped = JointQuorum{input.outgoing, input.incoming}.Count(votes);
  std::string out;
  if (swapped != result) out = format("{} <-- via symmetry\n", VoteName(swapped));
  return out + format("{}\n", VoteName(result));
}

std::string HandleQuorum(const ScriptCommand& command) {
  const absl::StatusOr<QuorumCase> input = ParseQuorumCase(command);
  if (!input.ok()) return std::string(Message(input.status()));
  if (command.name == "committed") return Committed(*input);
  if (command.name == "vote") return Vote(*input);
  return format("unknown command: {}", command.name);
}

// One membership; each command, also a refused one, is taken to be at the next log index.
class MembershipScript {
 public:
  std::string Handle(const ScriptCommand& command) {
    const raft::MembershipChanger changer(index_++, {.messages_max = 10});
    absl::StatusOr<std::vector<raft::ConfChangeStep>> steps = ParseSteps(command.input);
    if (!steps.ok()) return std::string(Message(steps.status()));
    absl::StatusOr<raft::Membership> next =
        MakeStatus(absl::StatusCode::kInvalidArgument, "unknown command");
    if (command.name == "simple") {
      next = changer.Simple(now_, *steps);
    } else if (command.name == "enter-joint") {
      next = changer.EnterJoint(now_, command.Value("autoleave") == "true", *steps);
    } else if (command.name == "leave-joint") {
      next = steps->empty()
                 ? changer.LeaveJoint(now_)
                 : MakeStatus(absl::StatusCode::kInvalidArgument, "this command takes no input");
    }
    if (!next.ok()) return format("{}\n", Message(next.status()));
    now_ = *std::move(next);
    return Describe(now_.config) + "\n" + Describe(now_.progress);
  }

 private:
  raft::Membership now_;
  raft::LogIndex index_ = 0;
};

}  // namespace

ScriptHandler QuorumHandler() { return HandleQuorum; }

ScriptHandler MembershipHandler() {
  auto script = std::make_shared<MembershipScript>();
  return [script](const ScriptCommand& command) { return script->Handle(command); };
}

ScriptHandler HandlerFor(const Script& script, raft::Mutation mutation) {
  const std::string first = script.steps.empty() ? "" : script.steps.front().command.name;
  if (first == "committed" || first == "vote") return QuorumHandler();
  if (first == "simple" || first == "enter-joint" || first == "leave-joint") {
    return MembershipHandler();
  }
  return GroupHandler(mutation);
}

ScriptResult RunScriptFile(const std::string& path, bool strip_logs, raft::Mutation mutation) {
  const absl::StatusOr<std::string> text = ReadWholeFile(path);
  if (!text.ok()) return {std::string(Message(text.status())), ""};
  const absl::StatusOr<Script> script = ParseScript(*text);
  if (!script.ok()) return {std::string(Message(script.status())), *text};
  return RunScript(*script, HandlerFor(*script, mutation), strip_logs);
}

std::string RunScriptFileApart(const std::string& path, bool strip_logs, raft::Mutation mutation) {
  return RunApart([&] { return RunScriptFile(path, strip_logs, mutation).difference; });
}

}  // namespace holdfast::raft_test
