// tests/sim/mail_clients.h
// Clients of the simulated relay: each sends one message, to one to four recipients, in one to
// three pieces, to any node that takes mail, and tells the checker what it was answered. Messages
// have numbers (tokens), which stand in their addresses. A client that does not learn what became
// of its message (451 with an unknown outcome, a node that died, a connection that broke before the
// 250 came) offers it again, to any node, after as long as the cluster may need to hear of it
// (docs/decisions/016: silence of a peer, a beat).
// Threads: one. Lifetime: nodes and checker outlive it.
// Limits:  `open_max` messages without an answer; `offers_max` offers of each.
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
  // One message in so many is empty: no more than the trace header, so nobody can tell a repeat.
  uint64_t empty_in = 20;
  // One message in so many is large, up to large_max of them, and of these one in so many is of
  // large_bytes_max.
  uint64_t large_max = 8;
  uint64_t large_in = 1500;
  uint64_t largest_in = 4;
  uint64_t large_bytes_max = uint64_t{25} << 20;
  uint64_t offers_max = 5;
  // Before a message is offered again.
  absl::Duration patience_min = absl::Seconds(4);
  absl::Duration patience_max = absl::Seconds(10);
};

class MailClients {
 public:
  MailClients(const SimShared& shared, MailChecker& checker, std::vector<HostNode*> nodes,
              size_t destinations, uint64_t seed);

  // One more that may take mail.
  void Join(HostNode& node) { nodes_.push_back(&node); }
  ClientsWeather& weather() { return weather_; }
  void Begin();
  // No new messages; those that there are may still be offered again.
  void End() { ended_ = true; }

  uint64_t sent() const { return sent_; }
  // Of those with a 250.
  uint64_t empty() const { return empty_; }
  uint64_t largest() const { return largest_; }
  uint64_t offered_again() const { return offered_again_; }
  // Messages whose clients wait for an answer, or to offer them again.
  uint64_t Unanswered() const { return letters_.size(); }

 private:
  // A message until its client is content, or gives up.
  struct Letter {
    std::vector<std::string> recipients;
    std::string content;
    bool empty = false;  // It is offered once.
    uint64_t pieces = 1;
    uint64_t offers = 0;
    // Where it was offered last, and in which life; null: it waits.
    HostNode* node = nullptr;
    uint64_t life = 0;
  };

  void SendOne();
  // A node that takes mail; null: the one that was tried does not.
  HostNode* Choose();
  void Offer(uint64_t token, HostNode& node);
  void OfferLater(uint64_t token);
  void OfferAgain(uint64_t token);
  void OnAnswer(uint64_t token, const absl::StatusOr<std::string>& queue_id);
  // Their nodes have died.
  void FindForsaken();
  std::string MakeContent(uint64_t token);

  const SimShared shared_;
  MailChecker& checker_;
  std::vector<HostNode*> nodes_;
  const size_t destinations_;
  Random luck_;
  Random empty_luck_;  // Else as before there were any.
  ClientsWeather weather_;
  bool ended_ = false;
  uint64_t sent_ = 0;
  uint64_t offered_again_ = 0;
  uint64_t large_ = 0;  // Sent; the others are counted once they have a 250.
  uint64_t empty_ = 0;
  uint64_t largest_ = 0;
  std::map<uint64_t, Letter> letters_;  // By token.
};

}  // namespace holdfast::raft_test
