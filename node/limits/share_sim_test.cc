// Nodes that share one destination's limit, in one thread, from a seed: questions and answers are
// late and get lost, nodes die and return, links break, coordinators change with and without good
// order, clocks drift. At every step all that nodes may use or have open is within the limit;
// afterwards everybody has its fair part again.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "node/limits/share_coordinator.h"
#include "node/limits/share_holder.h"
#include "queue/schedule/attempt_permits.h"

namespace holdfast::node {
namespace {

constexpr char kName[] = "a.test";
constexpr absl::Duration kStep = absl::Milliseconds(50);
constexpr absl::Duration kAskInterval = absl::Seconds(1);
// A leader that no majority answers steps down after so long, a node counts as silent after so
// long.
constexpr absl::Duration kStepsDown = absl::Seconds(2);
constexpr absl::Duration kSilent = absl::Seconds(3);
// A node must have been fit for so long before it leads again: BalanceOptions::fit_for.
constexpr absl::Duration kComesHome = absl::Seconds(5);

struct SimOptions {
  uint64_t seed = 1;
  size_t nodes = 3;
  uint32_t limit = 20;
  // Each node's clock goes up to a tenth faster or slower.
  bool clocks_drift = false;
  // Bugs to be caught.
  bool new_coordinator_does_not_wait = false;
  bool leases_never_end = false;
  bool holders_have_no_margin = false;
};

// A message under way.
struct Letter {
  absl::Duration arrives;
  size_t from = 0;
  size_t to = 0;
  uint64_t boot = 0;  // Of the asker.
  uint64_t sequence = 0;
  absl::Duration asked;
  std::optional<ShareAsk> ask;
  std::optional<ShareGrant> grant;
};

class Sim {
 public:
  explicit Sim(const SimOptions& options) : options_(options), random_(options.seed) {
    limits_.concurrency_max = options.limit;
    // In half of the runs the rate is what limits.
    limits_.rate_messages = options.seed % 2 == 0 ? 600 : 60'000;
    for (size_t i = 0; i < options.nodes; ++i) {
      nodes_.emplace_back();
      if (options.clocks_drift) {
        nodes_[i].rate = static_cast<double>(random_.Between(900, 1100)) / 1000.0;
      }
      Boot(i);
      nodes_[i].heard.assign(options.nodes, absl::ZeroDuration());
    }
    Elect(0);
  }

  // Empty when all is well; otherwise what went wrong.
  std::string Run() {
    const absl::Duration faults_end = absl::Seconds(120);
    while (now_ < faults_end) {
      if (random_.OneIn(60)) Fault();
      if (random_.OneIn(100)) nodes_[Any()].wants = static_cast<uint32_t>(random_.Below(30));
      if (std::string wrong = Step(); !wrong.empty()) return wrong;
    }
    Heal();
    const absl::Duration healed = now_;
    // An election, and three lifetimes. Lost messages may still move a share for a moment.
    std::string missing = Converged();
    while (now_ < healed + absl::Seconds(5) + 3 * ShareOptions().lifetime) {
      if (std::string wrong = Step(); !wrong.empty()) return wrong;
      if (!missing.empty() || now_ < healed + ShareOptions().lifetime) missing = Converged();
    }
    return missing;
  }

 private:
  struct Node {
    double rate = 1;  // Of its clock.
    bool alive = true;
    uint64_t boot = 0;
    uint64_t sequence = 0;
    std::unique_ptr<queue::AttemptPermits> permits;
    std::unique_ptr<ShareHolder> holder;
    std::deque<uint32_t> slots;  // Of running attempts.
    uint32_t wants = 30;
    absl::Duration next_ask;
    absl::Duration next_beat;
    absl::Duration returns;  // When dead.
    absl::Duration cut_off;  // Since when it has no majority; only while `lonely`.
    bool lonely = false;
    absl::Duration attempts_again;      // It leads nothing before.
    std::vector<absl::Duration> heard;  // Of each node, by this one's clock.
    // While it leads.
    std::unique_ptr<ShareCoordinator> coordinator;
  };

  size_t Any() { return random_.Below(nodes_.size()); }
  absl::Duration Now(const Node& node) const { return now_ * node.rate; }

  void Boot(size_t i) {
    Node& node = nodes_[i];
    ShareOptions options;
    if (options_.leases_never_end) options.lifetime = absl::Hours(1);
    if (options_.holders_have_no_margin) options.lifetime = options.lifetime * 5 / 4;
    node.alive = true;
    node.boot = random_.Next();
    node.sequence = 0;
    node.holder = std::make_unique<ShareHolder>(options);
    node.holder->SetVoters(options_.nodes);
    node.holder->Advance(Now(node));
    node.permits = std::make_unique<queue::AttemptPermits>(
        queue::PermitOptions{.idle_lifetime = absl::Seconds(1)},
        [holder = node.holder.get()](std::string_view name,
                                     const queue::DestinationLimits& limits) {
          return holder->Allowed(name, limits);
        });
    node.permits->Advance(Now(node));
    node.slots.clear();
    node.heard.assign(options_.nodes, Now(node));
    // Groups come home later.
    node.attempts_again = now_ + kComesHome;
  }

  bool Linked(size_t one, size_t other) const {
    if (one == other) return true;
    if (!nodes_[one].alive || !nodes_[other].alive) return false;
    return !cut_.contains({std::min(one, other), std::max(one, other)});
  }
  bool HasMajority(size_t i) const {
    size_t linked = 0;
    for (size_t other = 0; other < nodes_.size(); ++other) linked += Linked(i, other) ? 1 : 0;
    return nodes_[i].alive && linked * 2 > nodes_.size();
  }
  // It leads groups of its own, as far as it knows: so it starts attempts.
  bool MayAttempt(size_t i) const {
    const Node& node = nodes_[i];
    if (!node.alive || now_ < node.attempts_again) return false;
    return !node.lonely || now_ < node.cut_off + kStepsDown;
  }

  void Elect(size_t i) {
    leader_ = i;
    ++term_;
    const absl::Duration since =
        options_.new_coordinator_does_not_wait ? -absl::InfiniteDuration() : Now(nodes_[i]);
    nodes_[i].coordinator = std::make_unique<ShareCoordinator>(term_, since, ShareOptions());
  }

  void Die(size_t i) {
    Node& node = nodes_[i];
    node.alive = false;
    node.returns = now_ + absl::Seconds(random_.Between(2, 15));
    node.slots.clear();
    node.coordinator.reset();
    if (leader_ == i) leader_.reset();
  }

  void Fault() {
    const size_t one = Any();
    switch (random_.Below(6)) {
      case 0:
        if (nodes_[one].alive) Die(one);
        break;
      case 1:  // One against all others.
        for (size_t other = 0; other < nodes_.size(); ++other) Cut(one, other);
        break;
      case 2:
        Cut(one, Any());
        break;
      case 3:
      case 4:
        cut_.clear();
        break;
      default:  // In good order.
        if (!leader_ || !HasMajority(one) || one == *leader_ || !Linked(one, *leader_)) break;
        nodes_[*leader_].coordinator.reset();
        Elect(one);
    }
  }
  void Cut(size_t one, size_t other) {
    if (one != other) cut_.insert({std::min(one, other), std::max(one, other)});
  }
  void Heal() {
    cut_.clear();
    for (size_t i = 0; i < nodes_.size(); ++i) {
      nodes_[i].wants = 30;
      if (!nodes_[i].alive) Boot(i);
    }
  }

  void FollowMajorities() {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      Node& node = nodes_[i];
      if (!node.alive) {
        if (now_ >= node.returns) Boot(i);
        continue;
      }
      const bool lonely = !HasMajority(i);
      if (lonely && !node.lonely) node.cut_off = now_;
      // It led nothing any more, and groups come home later.
      if (!lonely && node.lonely && now_ >= node.cut_off + kStepsDown) {
        node.attempts_again = now_ + kComesHome;
      }
      node.lonely = lonely;
      if (node.coordinator != nullptr && lonely && now_ >= node.cut_off + kStepsDown) {
        node.coordinator.reset();
        if (leader_ == i) leader_.reset();
      }
    }
    if (leader_ && HasMajority(*leader_)) election_at_.reset();
    if (leader_ && HasMajority(*leader_)) return;
    if (!election_at_) election_at_ = now_ + absl::Milliseconds(random_.Between(1000, 3500));
    if (now_ < *election_at_) return;
    const size_t one = Any();
    if (!HasMajority(one) || one == leader_) return;
    election_at_.reset();
    Elect(one);  // A former one may go on for a while.
  }

  Presence PresenceOf(size_t leader, size_t other) const {
    const Node& at = nodes_[leader];
    if (leader == other || Now(at) - at.heard[other] < kSilent) return Presence::kHere;
    const Node& node = nodes_[other];
    const bool leads_nothing =
        !node.alive || (node.lonely && now_ >= node.cut_off + kStepsDown + absl::Seconds(1));
    return leads_nothing ? Presence::kGone : Presence::kSilent;
  }

  void Send(Letter letter) {
    if (random_.OneIn(10)) return;
    const bool late = random_.OneIn(10);
    letter.arrives = now_ + absl::Milliseconds(random_.Below(late ? 1500 : 100));
    letters_.push_back(std::move(letter));
  }

  void Exchange() {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      Node& node = nodes_[i];
      if (!node.alive) continue;
      if (now_ >= node.next_beat) {
        node.next_beat = now_ + absl::Seconds(1) / node.rate;
        for (size_t other = 0; other < nodes_.size(); ++other) {
          if (Linked(i, other) && !random_.OneIn(10)) nodes_[other].heard[i] = Now(nodes_[other]);
        }
      }
      if (now_ < node.next_ask) continue;
      node.next_ask = now_ + kAskInterval / node.rate;
      node.permits->VisitDemands(
          [&](const std::string& name, const auto& limits, const auto& demand) {
            std::optional<ShareAsk> ask = node.holder->Ask(name, limits, demand);
            if (!ask || !leader_) return;
            Letter letter;
            letter.from = i;
            letter.to = *leader_;
            letter.boot = node.boot;
            letter.sequence = ++node.sequence;
            letter.asked = Now(node);
            letter.ask = std::move(ask);
            Send(std::move(letter));
          });
    }
    std::vector<Letter> arrived;
    std::erase_if(letters_, [&](Letter& letter) {
      if (letter.arrives > now_) return false;
      if (Linked(letter.from, letter.to)) arrived.push_back(std::move(letter));
      return true;
    });
    for (Letter& letter : arrived) Deliver(std::move(letter));
  }

  void Deliver(Letter letter) {
    Node& to = nodes_[letter.to];
    if (!to.alive) return;
    if (letter.grant) {
      if (to.boot == letter.boot) to.holder->OnGrant(letter.asked, *letter.grant);
      return;
    }
    to.heard[letter.from] = Now(to);
    if (to.coordinator == nullptr) return;
    std::vector<ShareVoter> voters;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      voters.push_back({NodeId{i + 1}, PresenceOf(letter.to, i)});
    }
    to.coordinator->SetVoters(voters, Now(to));
    const NodeId asker{letter.from + 1};
    if (!to.coordinator->Begin(asker, letter.boot, letter.sequence)) return;
    letter.grant = to.coordinator->OnAsk(asker, *letter.ask, limits_, Now(to));
    letter.ask.reset();
    std::swap(letter.from, letter.to);
    if (letter.grant) Send(std::move(letter));
  }

  void Attempt(size_t i) {
    Node& node = nodes_[i];
    if (!node.alive) return;
    node.holder->Advance(Now(node));
    node.permits->Advance(Now(node));
    std::erase_if(node.slots, [&](uint32_t slot) {
      if (!random_.OneIn(10)) return false;
      node.permits->GiveBack(kName, slot);
      return true;
    });
    if (!MayAttempt(i)) return;
    while (node.slots.size() < node.wants) {
      const auto more = static_cast<uint32_t>(node.wants - node.slots.size());
      const std::optional<uint32_t> slot = node.permits->Take(1, kName, limits_, more);
      if (!slot) break;
      node.slots.push_back(*slot);
    }
  }

  std::string Step() {
    now_ += kStep;
    FollowMajorities();
    Exchange();
    double connections = 0;
    double messages = 0;
    std::string each;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      Attempt(i);
      const Node& node = nodes_[i];
      if (!node.alive) continue;
      const queue::Allowance allowed = node.holder->Allowed(kName, limits_);
      const double open = node.permits->DemandOf(kName).open;
      const double counts = MayAttempt(i) ? std::max(allowed.connections, open) : open;
      connections += counts;
      if (MayAttempt(i)) messages += allowed.messages;
      each += " " + std::to_string(i) + ":" + std::to_string(allowed.connections) + "/" +
              std::to_string(open);
    }
    // A tenth more, or one: an attempt that outlasts its permit by a moment.
    // Without a coordinator each uses at least one.
    const double bound = std::max<double>(options_.limit, static_cast<double>(nodes_.size()));
    const bool fits =
        connections <= std::max(bound * 1.1, bound + 1) && messages <= limits_.rate_messages * 1.1;
    if (fits) return "";
    return "at " + absl::FormatDuration(now_) + " allowed or open " + std::to_string(connections) +
           ", messages " + std::to_string(messages) + ":" + each;
  }

  std::string Converged() const {
    const queue::Allowance floor = FloorOf(limits_, nodes_.size());
    const bool enough = options_.limit >= nodes_.size();
    double all = 0;
    for (const Node& node : nodes_) {
      const queue::Allowance allowed = node.holder->Allowed(kName, limits_);
      all += allowed.connections;
      if (enough && allowed.connections < floor.connections) return "below its floor";
      // Else connections are what limits.
      const bool short_of_messages =
          limits_.rate_messages == 600 && options_.limit >= 6 * nodes_.size();
      if (short_of_messages && allowed.messages < floor.messages * 0.99) {
        return "below its floor of messages";
      }
    }
    if (all > options_.limit) return "more than all is granted";
    if (enough && all < options_.limit) return "not all is granted";
    return "";
  }

  const SimOptions options_;
  Random random_;
  queue::DestinationLimits limits_;
  absl::Duration now_;
  std::vector<Node> nodes_;
  std::set<std::pair<size_t, size_t>> cut_;
  std::vector<Letter> letters_;
  std::optional<size_t> leader_;  // The newest.
  std::optional<absl::Duration> election_at_;
  uint64_t term_ = 0;
};

class ShareSimTest : public ::testing::TestWithParam<std::pair<size_t, uint32_t>> {};

TEST_P(ShareSimTest, TheLimitHoldsAndAllGetTheirPart) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const auto [nodes, limit] = GetParam();
    ASSERT_EQ(Sim({.seed = seed, .nodes = nodes, .limit = limit}).Run(), "") << "seed " << seed;
  }
}

TEST_P(ShareSimTest, TheLimitHoldsWhereClocksDrift) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const auto [nodes, limit] = GetParam();
    ASSERT_EQ(Sim({.seed = seed, .nodes = nodes, .limit = limit, .clocks_drift = true}).Run(), "")
        << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, ShareSimTest,
                         ::testing::Values(std::pair<size_t, uint32_t>{3, 20},
                                           std::pair<size_t, uint32_t>{3, 6},
                                           std::pair<size_t, uint32_t>{5, 100},
                                           std::pair<size_t, uint32_t>{3, 2},
                                           std::pair<size_t, uint32_t>{5, 7}));

int Violations(SimOptions options) {
  int found = 0;
  for (options.seed = 1; options.seed <= 50; ++options.seed)
    found += Sim(options).Run().empty() ? 0 : 1;
  return found;
}

TEST(ShareSimMutationTest, ACoordinatorThatDoesNotWaitIsFound) {
  EXPECT_GT(Violations({.new_coordinator_does_not_wait = true}), 2);
}

TEST(ShareSimMutationTest, AGrantWithoutAMarginForClocksIsFound) {
  EXPECT_GT(Violations({.clocks_drift = true, .holders_have_no_margin = true}), 0);
}

TEST(ShareSimMutationTest, ALeaseThatNeverEndsIsFound) {
  EXPECT_GT(Violations({.leases_never_end = true}), 2);
}

}  // namespace
}  // namespace holdfast::node
