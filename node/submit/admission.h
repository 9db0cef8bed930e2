// node/submit/admission.h
// Admission is what SMTP sessions ask at MAIL and RCPT: first whether the node can take mail at all
// (NodeHealth), then the relay decision of the current policy (smtp::RelayRules), then the policy's
// limits. Rules are rebuilt when a policy is published, so a change needs no restart.
// Threads:  OnMail() and OnRcpt() from any io thread; OnPolicy() from the apply context.
// Lifetime: health outlives it.
#pragma once

#include <memory>
#include <string>

#include "base/mutex.h"
#include "node/control/policy.h"
#include "node/submit/node_health.h"
#include "smtp/server/relay_policy.h"
#include "smtp/server/relay_rules.h"

namespace holdfast::node {

class Admission final : public smtp::AdmissionPolicy {
 public:
  // `hostname`: a local name, where postmaster lives.
  Admission(const NodeHealth& health, std::string hostname);

  // kInvalidArgument, and the former rules stay: the policy was checked before it was replicated,
  // so this is a build that knows less than the one that checked.
  absl::Status OnPolicy(std::shared_ptr<const PolicySnapshot> policy);

  smtp::MailDecision OnMail(const smtp::ClientFacts& client,
                            const smtp::MailCommand& command) override;
  smtp::RcptDecision OnRcpt(const smtp::ClientFacts& client, const smtp::MailCommand& mail,
                            const smtp::RcptCommand& command) override;

 private:
  struct Rules {
    smtp::RelayRules relay;
    std::shared_ptr<const PolicySnapshot> policy;
  };
  std::shared_ptr<const Rules> Current() const;

  const NodeHealth& health_;
  const std::string hostname_;
  mutable Mutex mutex_;
  std::shared_ptr<const Rules> rules_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::node
