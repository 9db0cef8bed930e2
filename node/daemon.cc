#include "node/daemon.h"

#include <signal.h>

#include <cstdio>
#include <memory>

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "node/config/config_reader.h"
#include "node/config/process.h"
#include "node/node.h"

namespace holdfast::node {
namespace {

constexpr int kFatal = 1;
constexpr int kBadConfiguration = 2;

int Refuse(int code, const absl::Status& status) {
  std::fprintf(stderr, "holdfastd: %s\n", std::string(Message(status)).c_str());
  return code;
}

// The signals that the main thread waits for; blocked in every thread.
sigset_t BlockSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return set;
}

// While the node waits for others; a SIGHUP has nothing to reload yet.
bool StopWasAsked(const sigset_t& signals) {
  const timespec at_once{0, 0};
  const int number = sigtimedwait(&signals, nullptr, &at_once);
  return number == SIGTERM || number == SIGINT;
}

// What a running node can take over from a changed file; the rest is named.
void Reload(Node& node, const NodeSettings& running, const std::string& config_file) {
  if (absl::Status status = node.ReloadCertificates(); !status.ok()) {
    Log(LogLevel::kError, "reload_failed", {{"what", "certificates"}, {"reason", Message(status)}});
  }
  if (config_file.empty()) return;
  const FileText file = ReadConfigFile(config_file);
  const ConfigResult<NodeSettings> config = ReadNodeConfig(file.text);
  if (!file.problems.empty() || !config.ok()) {
    const std::string why = !file.problems.empty() ? file.problems.front().ToString(config_file)
                                                   : config.problems.front().ToString(config_file);
    Log(LogLevel::kError, "reload_failed", {{"what", "node file"}, {"reason", why}});
    return;
  }
  SetLogLevel(config.settings.log_level);
  const std::string restart = SettingsThatNeedRestart(running, config.settings);
  Log(LogLevel::kInfo, "reloaded",
      {{"applied", "certificates, log level"},
       {"needs_restart", restart.empty() ? "nothing" : restart}});
}

}  // namespace

int RunDaemon(const NodeSettings& settings, const std::string& config_file, LevelRange levels) {
  const sigset_t signals = BlockSignals();
  SetPrivateFileModes();
  ConfigureLog({.level = settings.log_level,
                .format = settings.log_format,
                .node = std::to_string(settings.node_id.value())});
  const SystemClock clock;
  Node node(settings, clock, levels);
  // Low ports need root, the data directory must belong to whom we become.
  if (absl::Status status = node.Bind(); !status.ok()) return Refuse(kBadConfiguration, status);
  if (absl::Status status = EnsureDataDirectory(settings.data_dir); !status.ok()) {
    return Refuse(kBadConfiguration, status);
  }
  if (!settings.user.empty()) {
    if (absl::Status status = GiveDirectoryTo(settings.data_dir, settings.user); !status.ok()) {
      return Refuse(kBadConfiguration, status);
    }
    if (absl::Status status = DropPrivileges(settings.user); !status.ok()) {
      return Refuse(kBadConfiguration, status);
    }
  } else if (geteuid() == 0) {
    Log(LogLevel::kWarn, "running_as_root", {{"advice", "set `user` in the node file"}});
  }
  const auto give_up = [&signals] { return StopWasAsked(signals); };
  if (absl::Status status = node.Start(give_up); !status.ok()) {
    if (status.code() == absl::StatusCode::kCancelled) return 0;
    const bool fatal = status.code() == absl::StatusCode::kDataLoss ||
                       status.code() == absl::StatusCode::kInternal;
    return Refuse(fatal ? kFatal : kBadConfiguration, status);
  }
  (void)NotifySystemd("READY=1");  // Nobody may be listening.
  while (true) {
    int number = 0;
    if (sigwait(&signals, &number) != 0) continue;
    if (number != SIGHUP) break;
    Reload(node, settings, config_file);
  }
  (void)NotifySystemd("STOPPING=1");
  Log(LogLevel::kInfo, "stopping");
  node.Stop();
  Log(LogLevel::kInfo, "stopped");
  return 0;
}

}  // namespace holdfast::node
