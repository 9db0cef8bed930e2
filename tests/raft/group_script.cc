#include "tests/raft/group_script.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>

#include "raft/core/confchange.h"
#include "tests/raft/script_handlers.h"

namespace holdfast::raft_test {
namespace {

using raft::AppendTask;
using raft::Entry;
using raft::MessageType;
using raft::Ready;

constexpr char kProposalDropped[] = "raft proposal dropped";

absl::Status Wrong(const std::string& why) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "{}", why);
}

absl::StatusOr<uint64_t> ToNumber(const std::string& word) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(word.data(), word.data() + word.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size()) {
    return Wrong(format("not a number: {}", word));
  }
  return number;
}

ScriptMessage Wrap(const raft::Message& message) {
  return {std::string(MessageTypeName(message.type)), message, {}, {}, {}};
}

// Between a node and itself or its storage: never lost.
bool IsLocal(const ScriptMessage& script) {
  const raft::Message& m = script.message;
  auto worker = [](NodeId node) {
    return node == raft::kAppendWorker || node == raft::kApplyWorker;
  };
  return m.from == m.to || worker(m.from) || worker(m.to);
}

bool IsMember(const raft::ConfState& state, NodeId node) {
  for (const auto* nodes : {&state.voters, &state.learners, &state.voters_outgoing}) {
    if (std::find(nodes->begin(), nodes->end(), node) != nodes->end()) return true;
  }
  return false;
}

ScriptMessage AppendWork(NodeId node, const AppendTask& task) {
  ScriptMessage work;
  work.type = "MsgStorageAppend";
  work.message.from = node;
  work.message.to = raft::kAppendWorker;
  work.message.entries = task.entries;
  work.message.snapshot = task.snapshot;
  if (task.hard_state) {
    work.message.term = task.hard_state->term;
    work.message.commit = task.hard_state->commit;
    work.vote = task.hard_state->vote;
  }
  for (const raft::Message& response : task.responses) work.responses.push_back(Wrap(response));
  return work;
}

ScriptMessage ApplyWork(NodeId node, const raft::ApplyTask& task) {
  ScriptMessage answer;
  answer.type = "MsgStorageApplyResp";
  answer.message.from = raft::kApplyWorker;
  answer.message.to = node;
  answer.message.entries = task.entries;
  answer.applied = task.done;
  ScriptMessage work;
  work.type = "MsgStorageApply";
  work.message.from = node;
  work.message.to = raft::kApplyWorker;
  work.message.entries = task.entries;
  work.responses.push_back(std::move(answer));
  return work;
}

}  // namespace

void GroupScript::Print(const std::string& text) {
  if (!quiet_) output_ += text;
}

template <typename Body>
void GroupScript::Indented(const std::string& title, Body body) {
  Print(title + "\n");
  std::string outer = std::exchange(output_, {});
  body();
  std::string inner = std::exchange(output_, std::move(outer));
  while (!inner.empty()) {
    const size_t end = inner.find('\n');
    Print("  " + inner.substr(0, end) + "\n");
    inner.erase(0, end == std::string::npos ? end : end + 1);
  }
}

absl::StatusOr<GroupScript::Node*> GroupScript::FindNode(const std::string& word) {
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t id, ToNumber(word));
  if (id == 0 || id > nodes_.size()) return Wrong(format("no such node: {}", word));
  return nodes_[id - 1].get();
}

absl::StatusOr<std::vector<GroupScript::Node*>> GroupScript::FindNodes(
    const ScriptCommand& command) {
  std::vector<Node*> found;
  for (const std::string& word : command.Words()) {
    HOLDFAST_ASSIGN_OR_RETURN(Node * node, FindNode(word));
    found.push_back(node);
  }
  return found;
}

std::string GroupScript::Handle(const ScriptCommand& command) {
  output_.clear();
  RunHeard(command);
  // A change of the configuration takes its steps as input; any other command may be followed by
  // more commands, one a line, whose output comes with its own.
  if (command.name == "propose-conf-change" || command.input.empty()) return output_;
  std::string lines;
  for (size_t at = 0; at < command.input.size();) {
    const size_t end = command.input.find('\n', at);
    lines += command.input.substr(at, end - at) + "\n----\n\n";
    at = end + 1;
  }
  const absl::StatusOr<Script> more = ParseScript(lines);
  if (!more.ok()) return std::string(Message(more.status()));
  for (const ScriptStep& step : more->steps) RunHeard(step.command);
  return output_;
}

void GroupScript::RunHeard(const ScriptCommand& command) {
  const absl::Status status = Run(command);
  if (!status.ok()) output_ += Message(status);  // Errors are heard at every log level.
}

absl::Status GroupScript::Run(const ScriptCommand& command) {
  const std::string& name = command.name;
  if (name == "_breakpoint") return absl::OkStatus();
  if (name == "add-nodes") return AddNodes(command);
  if (name == "deliver-msgs") return DeliverMessages(command);
  if (name == "process-ready") {
    return ForEachNode(command, "handling Ready", &GroupScript::ProcessReady);
  }
  if (name == "process-append-thread") {
    return ForEachNode(command, "processing append thread", &GroupScript::ProcessAppend);
  }
  if (name == "process-apply-thread") {
    return ForEachNode(command, "processing apply thread", &GroupScript::ProcessApply);
  }
  if (name == "stabilize") return Stabilize(command);
  if (name == "send-snapshot") return SendSnapshot(command);
  if (name == "transfer-leadership") return Transfer(command);
  if (name == "raft-state") {
    PrintRoles();
    return absl::OkStatus();
  }
  const std::vector<std::string> words = command.Words();
  if (words.empty()) return Wrong("unknown command");
  if (name == "log-level") return SetLogLevel(words.front());
  HOLDFAST_ASSIGN_OR_RETURN(Node * node, FindNode(words.front()));
  return RunOnNode(command, *node);
}

absl::Status GroupScript::RunOnNode(const ScriptCommand& command, Node& node) {
  const std::string& name = command.name;
  const std::vector<std::string> words = command.Words();
  auto need = [&words](size_t count) {
    return words.size() == count ? absl::OkStatus() : Wrong("wrong number of arguments");
  };
  auto tick = [&node](int ticks) {
    for (int i = 0; i < ticks; ++i) node.core->Tick();
    return absl::OkStatus();
  };
  if (name == "campaign") {
    (void)node.core->Campaign();  // Why not, if not, is visible in what follows.
    return absl::OkStatus();
  }
  if (name == "propose") {
    return Propose(node, words.size() < 2 ? "" : words[1]);
  }
  if (name == "propose-conf-change") return ProposeConfChange(node, command);
  if (name == "tick-election") return tick(node.options.election_ticks);
  if (name == "tick-heartbeat") return tick(node.options.heartbeat_ticks);
  if (name == "forget-leader") {
    (void)node.core->ForgetLeader();
    return absl::OkStatus();
  }
  if (name == "may-campaign") {
    HOLDFAST_RETURN_IF_ERROR(need(2));
    node.core->set_may_campaign(words[1] == "true");
    return absl::OkStatus();
  }
  if (name == "read-index") {
    HOLDFAST_RETURN_IF_ERROR(need(2));
    return node.core->ReadIndex(words[1]);
  }
  if (name == "set-randomized-election-timeout") {
    HOLDFAST_ASSIGN_OR_RETURN(const uint64_t ticks,
                              ToNumber(command.Value("timeout").value_or("")));
    node.core->SetElectionTicksForTest(static_cast<int>(ticks));
    return absl::OkStatus();
  }
  if (name == "report-unreachable") {
    HOLDFAST_RETURN_IF_ERROR(need(2));
    HOLDFAST_ASSIGN_OR_RETURN(Node * peer, FindNode(words[1]));
    node.core->ReportUnreachable(peer->id());
    return absl::OkStatus();
  }
  if (name == "compact") {
    HOLDFAST_RETURN_IF_ERROR(need(2));
    return Compact(node, words[1]);
  }
  if (name == "raft-log") {
    PrintLog(node);
    return absl::OkStatus();
  }
  if (name == "status") {
    Print(Describe(node.core->Status().progress));
    return absl::OkStatus();
  }
  return Wrong("unknown command");
}

absl::Status GroupScript::AddNodes(const ScriptCommand& command) {
  NewNodes wanted;
  raft::RaftOptions& options = wanted.options;
  options.mutation = mutation_;
  options.election_ticks = 3;
  options.heartbeat_ticks = 1;
  options.pre_vote = false;
  options.check_quorum = false;
  options.step_down_on_removal = false;
  options.forward_proposals = true;
  options.message_bytes_max = raft::kUnlimited;
  options.inflight_messages_max = std::numeric_limits<int32_t>::max();
  options.inflight_bytes_max = raft::kUnlimited;
  options.uncommitted_bytes_max = raft::kUnlimited;
  options.applying_bytes_max = raft::kUnlimited;
  const std::vector<std::string> words = command.Words();
  if (words.size() != 1) return Wrong("how many nodes?");
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t count, ToNumber(words[0]));
  for (const ScriptArgument& argument : command.arguments) {
    for (const std::string& value : argument.values) {
      HOLDFAST_RETURN_IF_ERROR(SetSwitch(argument.key, value, wanted));
    }
  }
  for (uint64_t i = 0; i < count; ++i) HOLDFAST_RETURN_IF_ERROR(AddNode(wanted));
  return absl::OkStatus();
}

absl::Status GroupScript::SetSwitch(const std::string& key, const std::string& value,
                                    NewNodes& wanted) {
  raft::RaftOptions& options = wanted.options;
  const std::map<std::string, bool*> switches = {
      {"prevote", &options.pre_vote},
      {"checkquorum", &options.check_quorum},
      {"async-storage-writes", &wanted.async},
      {"step-down-on-removal", &options.step_down_on_removal},
      {"disable-conf-change-validation", &options.skip_conf_change_validation},
  };
  if (auto found = switches.find(key); found != switches.end()) {
    *found->second = value == "true";
    return absl::OkStatus();
  }
  if (key == "content") {
    wanted.snapshot.data = value;
    return absl::OkStatus();
  }
  if (key == "read-only") {
    if (value != "safe" && value != "lease-based") {
      return Wrong(format("invalid read-only option \"{}\"", value));
    }
    options.read_mode = value == "safe" ? raft::ReadMode::kQuorum : raft::ReadMode::kLease;
    return absl::OkStatus();
  }
  return SetNumber(key, value, wanted);
}

absl::Status GroupScript::SetNumber(const std::string& key, const std::string& value,
                                    NewNodes& wanted) {
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t number, ToNumber(value));
  raft::ConfState& members = wanted.snapshot.conf_state;
  if (key == "voters") {
    members.voters.push_back(NodeId(number));
  } else if (key == "learners") {
    members.learners.push_back(NodeId(number));
  } else if (key == "index") {
    wanted.snapshot.index = number;
    wanted.options.applied = number;
  } else if (key == "inflight") {
    wanted.options.inflight_messages_max = number;
  } else if (key == "max-size-per-msg") {
    wanted.options.message_bytes_max = number;
  } else if (key == "max-committed-size-per-ready") {
    wanted.options.applying_bytes_max = number;
  } else {
    return Wrong(format("unknown arg {}", key));
  }
  return absl::OkStatus();
}

absl::Status GroupScript::AddNode(const NewNodes& wanted) {
  auto node = std::make_unique<Node>();
  node->log = std::make_unique<MemoryLog>();
  node->options = wanted.options;
  node->options.id = NodeId(nodes_.size() + 1);
  node->options.apply_unstable = !wanted.async;
  node->async = wanted.async;
  node->state = wanted.snapshot;
  if (wanted.snapshot != raft::Snapshot{}) {
    if (wanted.snapshot.index <= 1) {
      return Wrong("index must be specified as > 1 due to bootstrap");
    }
    node->state.term = 1;
    node->log->Install(node->state);
  }
  node->log->set_latest_snapshot(node->state);
  node->core = std::make_unique<raft::RaftCore>(node->options, *node->log);
  nodes_.push_back(std::move(node));
  return absl::OkStatus();
}

absl::Status GroupScript::Propose(Node& node, const std::string& command) {
  Entry entry;
  entry.command = command;
  return node.core->Propose({entry}).ok() ? absl::OkStatus() : Wrong(kProposalDropped);
}

absl::Status GroupScript::ProposeConfChange(Node& node, const ScriptCommand& command) {
  raft::ConfChange change;
  const std::string transition = command.Value("transition").value_or("auto");
  if (transition == "implicit") {
    change.transition = raft::ConfChangeTransition::kJointImplicit;
  } else if (transition == "explicit") {
    change.transition = raft::ConfChangeTransition::kJointExplicit;
  } else if (transition != "auto") {
    return Wrong(format("unknown transition {}", transition));
  }
  change.simple_form = command.Value("v1") == "true";
  HOLDFAST_ASSIGN_OR_RETURN(change.steps, ParseSteps(command.input));
  if (change.simple_form && (change.steps.size() != 1 || transition != "auto")) {
    return Wrong("v1 conf change can only have one operation and no transition");
  }
  const absl::Status status = node.core->ProposeConfChange(change).status();
  // Refused ones leave an empty entry; the script sees that, not an error.
  if (status.ok() || status.code() == absl::StatusCode::kAborted) return absl::OkStatus();
  return Wrong(kProposalDropped);
}

absl::Status GroupScript::ForEachNode(const ScriptCommand& command, const char* doing,
                                      void (GroupScript::*work)(Node&)) {
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<Node*> nodes, FindNodes(command));
  for (Node* node : nodes) {
    if (nodes.size() == 1) {
      (this->*work)(*node);
    } else {
      Indented(format("> {} {}", node->id().value(), doing), [&] { (this->*work)(*node); });
    }
  }
  return absl::OkStatus();
}

absl::Status GroupScript::Stabilize(const ScriptCommand& command) {
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<Node*> nodes, FindNodes(command));
  if (nodes.empty()) {
    for (auto& node : nodes_) nodes.push_back(node.get());
  }
  const bool quiet = quiet_;
  if (auto level = command.Value("log-level")) HOLDFAST_RETURN_IF_ERROR(SetLogLevel(*level));
  auto title = [](Node* node, const char* doing) {
    return format("> {} {}", node->id().value(), doing);
  };
  for (bool busy = true; busy;) {
    busy = false;
    for (Node* node : nodes) {
      if (!node->core->HasReady()) continue;
      Indented(title(node, "handling Ready"), [&] { ProcessReady(*node); });
      busy = true;
    }
    for (Node* node : nodes) {
      if (!AnyFor(node->id())) continue;
      Indented(title(node, "receiving messages"), [&] { Deliver(node->id(), "", false); });
      busy = true;
    }
    for (Node* node : nodes) {
      if (node->append_work.empty()) continue;
      Indented(title(node, "processing append thread"), [&] {
        while (!node->append_work.empty()) ProcessAppend(*node);
      });
      busy = true;
    }
    for (Node* node : nodes) {
      if (node->apply_work.empty()) continue;
      Indented(title(node, "processing apply thread"), [&] {
        while (!node->apply_work.empty()) ProcessApply(*node);
      });
      busy = true;
    }
  }
  quiet_ = quiet;
  return absl::OkStatus();
}

absl::Status GroupScript::DeliverMessages(const ScriptCommand& command) {
  struct Recipient {
    NodeId id;
    bool drop;
  };
  std::vector<Recipient> recipients;
  std::string type;
  for (const ScriptArgument& argument : command.arguments) {
    if (argument.values.empty()) {
      HOLDFAST_ASSIGN_OR_RETURN(const uint64_t id, ToNumber(argument.key));
      recipients.push_back({NodeId(id), false});
    }
    for (const std::string& value : argument.values) {
      if (argument.key == "drop") {
        HOLDFAST_ASSIGN_OR_RETURN(const uint64_t id, ToNumber(value));
        recipients.push_back({NodeId(id), true});
      } else if (argument.key == "type") {
        type = value;
      }
    }
  }
  size_t count = 0;
  for (const Recipient& recipient : recipients) {
    count += Deliver(recipient.id, type, recipient.drop);
  }
  if (count == 0) Print("no messages\n");
  return absl::OkStatus();
}

size_t GroupScript::Deliver(NodeId to, const std::string& type, bool drop) {
  std::vector<ScriptMessage> taken;
  std::vector<ScriptMessage> left;
  for (ScriptMessage& script : network_) {
    const bool meant = script.message.to == to && (type.empty() || script.type == type) &&
                       !(drop && IsLocal(script));
    (meant ? taken : left).push_back(std::move(script));
  }
  network_ = std::move(left);
  for (const ScriptMessage& script : taken) {
    Print(format("{}{}\n", drop ? "dropped: " : "", Describe(script)));
    if (!drop) DeliverOne(script);
  }
  return taken.size();
}

void GroupScript::DeliverOne(const ScriptMessage& script) {
  const raft::Message& message = script.message;
  if (message.to.value() > nodes_.size()) {
    Print(format("no such node: {}\n", message.to.value()));
    return;
  }
  Node& node = *nodes_[message.to.value() - 1];
  constexpr char kStranger[] = "raft: cannot step as peer not found\n";
  if (script.type == "MsgStorageApplyResp") {
    node.core->ApplyDone(script.applied);
    return;
  }
  if (IsLocal(script)) {
    if (message.from == node.id() && !IsMember(node.core->Status().conf_state, node.id())) {
      Print(kStranger);
      return;
    }
    (void)node.core->AppendDone({message});  // To this node alone: nothing comes back.
    return;
  }
  const absl::Status status = node.core->Step(message);
  if (status.code() == absl::StatusCode::kNotFound) Print(kStranger);
  const bool refused = !status.ok() && status.code() != absl::StatusCode::kAborted;
  if (refused && message.type == MessageType::kPropose) Print(format("{}\n", kProposalDropped));
}

bool GroupScript::AnyFor(NodeId to) const {
  return std::any_of(network_.begin(), network_.end(),
                     [to](const ScriptMessage& script) { return script.message.to == to; });
}

// --- Readys ---

std::vector<ScriptMessage> GroupScript::ToScript(Node& node, const Ready& ready) const {
  std::vector<ScriptMessage> messages;
  for (const raft::Message& message : ready.send_now) messages.push_back(Wrap(message));
  if (node.async) {
    if (ready.append) messages.push_back(AppendWork(node.id(), *ready.append));
    if (ready.apply) messages.push_back(ApplyWork(node.id(), *ready.apply));
  } else if (ready.append) {
    for (const raft::Message& response : ready.append->responses) {
      if (response.to != node.id()) messages.push_back(Wrap(response));
    }
  }
  return messages;
}

void GroupScript::PrintReady(Node& node, const Ready& ready,
                             const std::vector<ScriptMessage>& messages) {
  std::string text;
  bool must_sync = false;
  if (ready.soft_state) text += Describe(*ready.soft_state) + "\n";
  if (ready.append && ready.append->hard_state) {
    const raft::HardState& state = *ready.append->hard_state;
    text += "HardState " + Describe(state) + "\n";
    must_sync = state.term != node.told.term || state.vote != node.told.vote;
    node.told = state;
  }
  for (size_t i = 0; i < ready.read_states.size(); ++i) {
    text += format("{}{{{} {}}}{}", i == 0 ? "ReadStates [" : " ", ready.read_states[i].index,
                   ready.read_states[i].context, i + 1 == ready.read_states.size() ? "]\n" : "");
  }
  if (ready.append && !ready.append->entries.empty()) {
    text += "Entries:\n" + Describe(ready.append->entries);
    must_sync = true;
  }
  if (ready.append && ready.append->snapshot) {
    text += "Snapshot " + Describe(*ready.append->snapshot) + "\n";
  }
  if (ready.apply) text += "CommittedEntries:\n" + Describe(ready.apply->entries);
  if (!messages.empty()) text += "Messages:\n";
  for (const ScriptMessage& message : messages) text += Describe(message) + "\n";
  Print(text.empty() ? "<empty Ready>" : format("Ready MustSync={}:\n{}", must_sync, text));
}

void GroupScript::ProcessReady(Node& node) {
  Ready ready = node.core->TakeReady();
  std::vector<ScriptMessage> messages = ToScript(node, ready);
  PrintReady(node, ready, messages);
  if (!node.async) FinishAtOnce(node, std::move(ready));
  for (ScriptMessage& message : messages) {
    if (message.type == "MsgStorageAppend") {
      node.append_work.push_back(std::move(message));
    } else if (message.type == "MsgStorageApply") {
      node.apply_work.push_back(std::move(message));
    } else {
      network_.push_back(std::move(message));
    }
  }
}

void GroupScript::FinishAtOnce(Node& node, Ready ready) {
  if (ready.append) node.log->Write(*ready.append);
  if (ready.apply) Apply(node, ready.apply->entries);
  // The answers for others are on their way already (see ToScript).
  if (ready.append) (void)node.core->AppendDone(std::move(ready.append->responses));
  if (ready.apply) node.core->ApplyDone(ready.apply->done);
}

void GroupScript::ProcessAppend(Node& node) {
  if (node.append_work.empty()) {
    Print("no append work to perform");
    return;
  }
  ScriptMessage work = std::move(node.append_work.front());
  node.append_work.pop_front();
  const std::vector<ScriptMessage> responses = std::exchange(work.responses, {});
  Print("Processing:\n" + Describe(work) + "\nResponses:\n");
  AppendTask task;
  const raft::HardState state{work.message.term, work.vote, work.message.commit};
  if (!state.empty()) task.hard_state = state;
  task.entries = work.message.entries;
  task.snapshot = work.message.snapshot;
  node.log->Write(task);
  for (const ScriptMessage& response : responses) {
    Print(Describe(response) + "\n");
    network_.push_back(response);
  }
}

void GroupScript::ProcessApply(Node& node) {
  if (node.apply_work.empty()) {
    Print("no apply work to perform");
    return;
  }
  ScriptMessage work = std::move(node.apply_work.front());
  node.apply_work.pop_front();
  const std::vector<ScriptMessage> responses = std::exchange(work.responses, {});
  Print("Processing:\n" + Describe(work) + "\nResponses:\n");
  Apply(node, work.message.entries);
  for (const ScriptMessage& response : responses) {
    Print(Describe(response) + "\n");
    network_.push_back(response);
  }
}

void GroupScript::Apply(Node& node, const std::vector<Entry>& entries) {
  for (const Entry& entry : entries) {
    node.state.index = entry.index;
    node.state.term = entry.term;
    if (entry.type == raft::EntryType::kNormal) {
      node.state.data += entry.command;
    } else {
      const absl::StatusOr<raft::ConfChange> change = raft::DecodeConfChange(entry);
      if (!change.ok()) {
        Print(format("{}\n", Message(change.status())));
        continue;
      }
      node.state.conf_state = node.core->ApplyConfChange(*change);
    }
    node.log->set_latest_snapshot(node.state);
  }
}

// --- Looking and arranging ---

absl::Status GroupScript::Compact(Node& node, const std::string& index) {
  HOLDFAST_ASSIGN_OR_RETURN(const uint64_t to, ToNumber(index));
  HOLDFAST_RETURN_IF_ERROR(node.log->CompactTo(to));
  PrintLog(node);
  return absl::OkStatus();
}

void GroupScript::PrintLog(Node& node) {
  if (node.log->entries().empty()) {
    Print(format("log is empty: first index={}, last index={}", node.log->FirstIndex(),
                 node.log->LastIndex()));
  } else {
    Print(Describe(node.log->entries()));
  }
}

void GroupScript::PrintRoles() {
  for (const auto& node : nodes_) {
    const raft::CoreStatus status = node->core->Status();
    const raft::ConfState& state = status.conf_state;
    const bool voter = IsMember({state.voters, {}, state.voters_outgoing, {}, false}, node->id());
    Print(format("{}: {} {} Term:{} Lead:{}\n", node->id().value(), RoleName(status.role),
                 voter ? "(Voter)" : "(Non-Voter)", status.hard_state.term, status.leader.value()));
  }
}

absl::Status GroupScript::SendSnapshot(const ScriptCommand& command) {
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<Node*> nodes, FindNodes(command));
  if (nodes.size() != 2) return Wrong("from whom, to whom?");
  HOLDFAST_ASSIGN_OR_RETURN(raft::Snapshot snapshot, nodes[0]->log->LatestSnapshot());
  raft::Message message;
  message.type = MessageType::kSnapshot;
  message.from = nodes[0]->id();
  message.to = nodes[1]->id();
  message.term = nodes[0]->core->term();
  message.snapshot = std::make_shared<const raft::Snapshot>(std::move(snapshot));
  network_.push_back(Wrap(message));
  Print(Describe(network_.back()));
  return absl::OkStatus();
}

absl::Status GroupScript::Transfer(const ScriptCommand& command) {
  HOLDFAST_ASSIGN_OR_RETURN(Node * from, FindNode(command.Value("from").value_or("")));
  HOLDFAST_ASSIGN_OR_RETURN(Node * to, FindNode(command.Value("to").value_or("")));
  (void)from->core->TransferLeadership(to->id());
  return absl::OkStatus();
}

absl::Status GroupScript::SetLogLevel(const std::string& level) {
  std::string lower = level;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  for (const char* known : {"debug", "info", "warn", "error", "fatal", "none"}) {
    if (lower != known) continue;
    quiet_ = lower == "none";
    return absl::OkStatus();
  }
  return Wrong("log levels must be either of [DEBUG INFO WARN ERROR FATAL NONE]");
}

ScriptHandler GroupHandler(raft::Mutation mutation) {
  auto script = std::make_shared<GroupScript>(mutation);
  return [script](const ScriptCommand& command) { return script->Handle(command); };
}

}  // namespace holdfast::raft_test
