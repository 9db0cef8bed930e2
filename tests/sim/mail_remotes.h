// tests/sim/mail_remotes.h
// MailRemotes plays the mail servers of the world for simulated nodes: one for each destination
// domain, with a temper of its own. Every line takes a while to arrive, and so does every answer. A
// remote may refuse, defer, hang up anywhere, take a message and vanish before it says so, or not
// answer at all. The names that it has in DNS come with it.
//
// It tells the checker what it took; a final dot is told when it leaves the node.
// Threads: one. Lifetime: what a life of a node connected to is forgotten with Forget(); streams
// live as long as their connections do.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "smtp/dns/resolver.h"
#include "smtp/stream/connector.h"
#include "smtp/stream/memory_stream.h"
#include "tests/sim/mail_checker.h"
#include "tests/sim/sim_loop.h"

namespace holdfast::raft_test {

// How a destination behaves, in permille of occasions.
struct RemoteTemper {
  uint64_t refuse_connection = 0;
  uint64_t mute_connection = 0;  // Nobody answers.
  uint64_t defer_recipient = 0;
  uint64_t defer_dot = 0;
  uint64_t reject_dot = 0;
  uint64_t hang_up = 0;       // At any line, the dot included.
  uint64_t vanish = 0;        // Takes the message and hangs up.
  uint64_t stall = 0;         // Takes the message and never says so.
  uint64_t tarpit = 0;        // Answers after up to tarpit_max.
  uint64_t unknown_name = 0;  // DNS does not answer.
  absl::Duration delay_max = absl::Milliseconds(30);
  absl::Duration tarpit_max = absl::Seconds(4);
};

// Which node, in which life, talks.
struct RemoteClient {
  NodeId node;
  uint64_t boot_id = 0;
  // False once that life is over.
  std::function<bool()> alive;
  // Bytes for it have arrived.
  std::function<void()> wake;
};

class MailRemotes {
 public:
  MailRemotes(SimLoop& loop, SimTrace& trace, Random& luck, MailChecker& checker)
      : loop_(loop), trace_(trace), luck_(luck), checker_(checker) {}

  // d0.test, d1.test, ... and senders.test, in this order.
  void Add(const RemoteTemper& temper) { tempers_.push_back(temper); }
  size_t destinations() const { return tempers_.size() - 1; }
  // From now on all are reliable; but what is bad for good stays so: see IsBad().
  void Heal();
  // All take up to so long for a line.
  void SlowDown(absl::Duration delay_max);
  // Between a message's end and the answer to it pass so much more.
  void SlowDots(absl::Duration more) { dots_take_ = more; }
  // One recipient in 16 does not exist.
  static bool IsBad(std::string_view address);

  // For one life of a node; both outlive its attempts.
  std::unique_ptr<smtp::Connector> MakeConnector(RemoteClient client);
  std::unique_ptr<smtp::Resolver> MakeResolver();
  void Forget(NodeId node);

  // Told after each new connection, with how many are open at the destination.
  void OnConnect(std::function<void(uint64_t open)> callback) { on_connect_ = std::move(callback); }
  uint64_t connections() const { return connections_; }
  uint64_t taken() const { return taken_; }

 private:
  class Talk;
  class SimConnector;
  class SimResolver;
  friend class Talk;

  uint64_t OpenAt(size_t destination) const;
  bool Chance(uint64_t permille) { return luck_.Below(1000) < permille; }
  absl::Duration UpTo(absl::Duration most);

  SimLoop& loop_;
  SimTrace& trace_;
  Random& luck_;
  MailChecker& checker_;
  std::vector<RemoteTemper> tempers_;
  absl::Duration dots_take_ = absl::ZeroDuration();
  std::map<uint64_t, std::shared_ptr<Talk>> talks_;
  std::function<void(uint64_t)> on_connect_;
  uint64_t connections_ = 0;
  uint64_t taken_ = 0;
};

}  // namespace holdfast::raft_test
