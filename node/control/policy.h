// node/control/policy.h
// PolicySnapshot is one version of the replicated policy, checked and ready to be asked.
// PolicyHolder hands the current one to everybody who decides something; a decision uses one
// snapshot throughout and records its version.
//
//   std::shared_ptr<const PolicySnapshot> policy = holder.Current();
//   const RouteSettings& route = policy->RouteFor("example.com");
//
// Threads:  snapshots are immutable; PolicyHolder is thread-safe.
// Lifetime: references into a snapshot live as long as it does.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "node/config/settings.h"

namespace holdfast::node {

class PolicySnapshot {
 public:
  PolicySnapshot(uint64_t version, PolicySettings settings);

  // 0: the default policy, before any was applied.
  uint64_t version() const { return version_; }
  const PolicySettings& settings() const { return settings_; }

  // `client` is an IP address; false for anything else. IPv4 addresses mapped into IPv6 count as
  // IPv4.
  bool IsTrusted(std::string_view client) const;

  // Exact, then the nearest parent wildcard (".example.com"), then "*". Always answers.
  const RouteSettings& RouteFor(std::string_view destination) const;
  const DestinationSettings& DestinationFor(std::string_view destination) const;

  // The reason when mail to `address` is suppressed (the address itself, or its whole domain);
  // nullptr when it is not.
  const std::string* Suppressed(std::string_view address) const;

 private:
  const uint64_t version_;
  const PolicySettings settings_;
};

class PolicyHolder {
 public:
  // Starts with version 0, the default policy.
  PolicyHolder();

  // Never nullptr.
  std::shared_ptr<const PolicySnapshot> Current() const;
  // Takes effect for every decision that starts from now on.
  void Publish(std::shared_ptr<const PolicySnapshot> snapshot);

  // Whether that is the cluster's, and not only the default one of a node that has not heard of the
  // cluster's yet: one that has just joined, or a cluster that is about to take one over. Mail
  // would be sent past the routes, and limits would not hold. False until ClusterDuties knows.
  bool known() const { return known_.load(std::memory_order_acquire); }
  void SetKnown(bool known) { known_.store(known, std::memory_order_release); }

 private:
  std::atomic<bool> known_{false};
  mutable Mutex mutex_;
  std::shared_ptr<const PolicySnapshot> current_ ABSL_GUARDED_BY(mutex_);
};

// What differs, as a unified diff of both texts in canonical form; empty when they say the same.
std::string PolicyDiff(std::string_view from_text, std::string_view from_name,
                       std::string_view to_text, std::string_view to_name);

}  // namespace holdfast::node
