// node/node.h
// Node joins the rooms into one running relay. Its members stand in build order, and Stop() goes
// through them backwards:
//
//   peers                                                                other nodes
//   store, contexts (raft, storage, apply), state machines, group host   consensus and queue
//   io threads, attempt runner                                           mail out
//   listener                                                             mail in
//   http server, admin service                                           people
//
// Threads:  Bind(), Start(), Stop() from one thread, in this order, once each. ReloadCertificates()
//           from any.
// Lifetime: the clock outlives it.
// Errors:   Bind(): an address in use, with the setting's name. Start(): kFailedPrecondition for a
//           locked data directory or one of another cluster's node, kUnimplemented for one of a
//           newer format or a feature level that this build does not speak, kInvalidArgument for a
//           bad seed policy or TLS files, kDataLoss for contradictions on disk.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "node/config/settings.h"
#include "node/control/feature_level.h"

namespace holdfast::node {

class Node {
 public:
  // `levels`: what the build speaks.
  Node(const NodeSettings& settings, const Clock& clock, LevelRange levels);
  ~Node();  // Stop().
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Binds the SMTP ports: all that may need root. Creates nothing on disk.
  absl::Status Bind();

  // Opens or creates the store, starts everything, and returns once mail is accepted; a node with
  // peers returns once it takes part, and accepts mail when a majority does. Waits for the other
  // nodes of a new cluster until `give_up` says true (kCancelled).
  absl::Status Start(const std::function<bool()>& give_up);

  // No new connections; running transactions and attempts past their dot finish, up to the drain
  // deadline; then everything is synced and closed. Idempotent.
  void Stop();

  // Reads the SMTP certificate and key again. OK without certificates.
  absl::Status ReloadCertificates();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Names the settings that differ and need a restart to take effect, comma separated; "" if none.
std::string SettingsThatNeedRestart(const NodeSettings& running, const NodeSettings& wanted);

}  // namespace holdfast::node
