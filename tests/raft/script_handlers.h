// tests/raft/script_handlers.h
// What the commands of scripts mean: three vocabularies, one for quorums, one for changes of the
// configuration, one for whole groups. A script uses one of them.
// Threads: a handler keeps the state of one script; make a new one for each.
#pragma once

#include "raft/core/raft_options.h"
#include "tests/raft/script.h"

namespace holdfast::raft_test {

// committed, vote: what majorities, plain or joint, decide.
ScriptHandler QuorumHandler();

// simple, enter-joint, leave-joint: one membership, step by step.
ScriptHandler MembershipHandler();

// A group of cores, a network that delivers on command, and storage work done on command:
//   add-nodes 3 voters=(1,2,3) learners=(4) index=10 async-storage-writes=true ...
//   campaign, propose, propose-conf-change, transfer-leadership, forget-leader, read-index,
//   tick-election, tick-heartbeat, set-randomized-election-timeout, report-unreachable
//   process-ready, process-append-thread, process-apply-thread, deliver-msgs, stabilize
//   compact, send-snapshot, raft-log, raft-state, status, log-level
// `mutation` puts a bug into every core, to show that a script would find it.
ScriptHandler GroupHandler(raft::Mutation mutation = raft::Mutation::kNone);

// The vocabulary that the script's first command belongs to.
ScriptHandler HandlerFor(const Script& script, raft::Mutation mutation = raft::Mutation::kNone);

// Parses and runs one script file. An error stands in `difference`.
ScriptResult RunScriptFile(const std::string& path, bool strip_logs,
                           raft::Mutation mutation = raft::Mutation::kNone);
// The same in a process of its own, since a broken invariant ends the process: what differed, or
// what the failed check said.
std::string RunScriptFileApart(const std::string& path, bool strip_logs,
                               raft::Mutation mutation = raft::Mutation::kNone);

}  // namespace holdfast::raft_test
