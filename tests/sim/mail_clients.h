// tests/sim/mail_clients.h
// Clients of the simulated relay: each sends one message, to one to four recipients, in one to
// three pieces, to any node that takes mail, and tells the checker what it was answered. Messages
// have numbers (tokens), which stand in their addresses.
// Threads: one. Lifetime: nodes and checker outlive it.
// Limits:  `open_max` messages without an answer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/sim/host_node.h"
#include "tests/sim/mail_checker.h"
#include "tests/sim/mail_node.h"

namespace holdfast::raft_test {

struct ClientsWeather {
  absl::Duration pause_max = absl::Milliseconds(400);
  uint64_t lines_max = 40;
  uint64_t open_max = 50;
};

class MailClients {
 public:
  MailClients(const SimShared& shared, MailChecker& checker, std::vector<HostNode*> nodes,
              size_t destinations, uint64_t seed);

  ClientsWeather& weather() { return weather_; }
  void Begin();
  void End() { ended_ = true; }

  uint64_t sent() const { return sent_; }
  // Without an answer, at nodes that still live the life in which they were asked.
  uint64_t Unanswered() const;

 private:
  struct Asked {
    HostNode* node;
    uint64_t life = 0;
  };

  void SendOne();
  std::string MakeContent(uint64_t token);

  const SimShared shared_;
  MailChecker& checker_;
  const std::vector<HostNode*> nodes_;
  const size_t destinations_;
  Random luck_;
  ClientsWeather weather_;
  bool ended_ = false;
  uint64_t sent_ = 0;
  std::map<uint64_t, Asked> asked_;  // By token.
};

}  // namespace holdfast::raft_test
