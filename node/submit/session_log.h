// node/submit/session_log.h
// SessionLog turns what sessions did into the node's log events and metrics.
// Threads: thread-safe. Lifetime: the metrics outlive it.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "node/node_metrics.h"
#include "smtp/server/session_observer.h"

namespace holdfast::node {

class SessionLog final : public smtp::SessionObserver {
 public:
  explicit SessionLog(NodeMetrics& metrics) : metrics_(metrics) {}

  void OnConnect(const smtp::ClientFacts& client) override;
  void OnTurnedAway(const smtp::ClientFacts& client, const smtp::Reply& reply) override;
  void OnRejected(const smtp::ClientFacts& client, const smtp::Rejection& rejection,
                  const smtp::Reply& reply) override;
  void OnAccepted(const smtp::Envelope& envelope, const smtp::FinalFacts& facts,
                  const std::string& queue_id) override;

 private:
  NodeMetrics& metrics_;
};

}  // namespace holdfast::node
