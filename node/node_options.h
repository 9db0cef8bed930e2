// node/node_options.h
// What the parts of a node are told, made of the node file's settings.
// Threads: functions of their arguments, but for RunnerOptionsOf(), which asks the system for its
// interfaces.
#pragma once

#include "node/cluster/load_shedding.h"
#include "node/cluster/load_watch.h"
#include "node/config/settings.h"
#include "node/delivery/attempt_runner.h"
#include "raft/host/group_host.h"
#include "smtp/server/listener.h"

namespace holdfast::node {

// Limits that a policy changes are put in for each session (ListenerOptions::adjust).
smtp::ListenerOptions ListenerOptionsOf(const NodeSettings& settings);

// Asks the system for the addresses of its interfaces: mail that DNS sends there is a loop.
AttemptRunnerOptions RunnerOptionsOf(const NodeSettings& settings);

raft::GroupHostOptions HostOptionsOf(const NodeSettings& settings);

LoadWatch::Options LoadWatchOptionsOf(const NodeSettings& settings);
LoadSheddingOptions SheddingOptionsOf(const NodeSettings& settings);

}  // namespace holdfast::node
