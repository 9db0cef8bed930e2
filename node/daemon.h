// node/daemon.h
// The process around a Node: file modes, data directory, privileges, signals, systemd.
// Threads: call RunDaemon once, from main, before any other thread exists.
#pragma once

#include <string>

#include "node/config/settings.h"
#include "node/control/feature_level.h"

namespace holdfast::node {

// Runs until SIGTERM or SIGINT. 0: stopped; 1: fatal at run time; 2: the configuration can't be
// used here (a port in use, a data directory that is locked or of a newer format). `config_file` is
// read again on SIGHUP; empty when there is none. `levels`: what the build speaks.
int RunDaemon(const NodeSettings& settings, const std::string& config_file, LevelRange levels);

}  // namespace holdfast::node
