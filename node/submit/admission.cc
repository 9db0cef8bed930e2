#include "node/submit/admission.h"

#include <arpa/inet.h>

#include <utility>

namespace holdfast::node {
namespace {

std::string NetworkText(const Network& network) {
  char text[INET6_ADDRSTRLEN] = {};
  if (network.is_ipv4) {
    inet_ntop(AF_INET, network.base.data() + 12, text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, network.base.data(), text, sizeof(text));
  }
  return format("{}/{}", text, network.PrefixLength());
}

smtp::RelayRulesOptions OptionsOf(const PolicySettings& settings, const std::string& hostname) {
  smtp::RelayRulesOptions options;
  options.trusted_networks.clear();
  for (const Network& network : settings.trusted_networks) {
    options.trusted_networks.push_back(NetworkText(network));
  }
  for (const auto& [name, domain] : settings.relay_domains) {
    smtp::RelayDomain relay{.domain = domain.domain, .recipients = std::nullopt};
    if (domain.recipients)
      relay.recipients.emplace(domain.recipients->begin(), domain.recipients->end());
    options.relay_domains.push_back(std::move(relay));
  }
  options.local_names.push_back(hostname);
  if (!settings.mail_name.empty()) options.local_names.push_back(settings.mail_name);
  options.postmaster_address = settings.postmaster_address;
  return options;
}

smtp::Reply RefusalOf(const absl::Status& status, const std::string& hostname) {
  if (status.code() == absl::StatusCode::kResourceExhausted) {
    return smtp::Reply(452, {4, 3, 1}, Message(status));
  }
  // The session ends with it (RFC 5321, 3.8): the client is better off with another host, and
  // should not try its next message here.
  if (absl::IsAborted(status)) {
    return smtp::Reply(421, {4, 3, 2},
                       format("{} {}; try another host", hostname, Message(status)));
  }
  return smtp::Reply(451, {4, 3, 2}, Message(status));
}

}  // namespace

Admission::Admission(const NodeHealth& health, std::string hostname)
    : health_(health), hostname_(std::move(hostname)) {}

absl::Status Admission::OnPolicy(std::shared_ptr<const PolicySnapshot> policy) {
  HOLDFAST_ASSIGN_OR_RETURN(smtp::RelayRules relay,
                            smtp::RelayRules::Create(OptionsOf(policy->settings(), hostname_)));
  auto rules = std::make_shared<const Rules>(Rules{std::move(relay), std::move(policy)});
  MutexLock lock(mutex_);
  rules_ = std::move(rules);
  return absl::OkStatus();
}

std::shared_ptr<const Admission::Rules> Admission::Current() const {
  MutexLock lock(mutex_);
  return rules_;
}

smtp::MailDecision Admission::OnMail(const smtp::ClientFacts& client,
                                     const smtp::MailCommand& command) {
  smtp::MailDecision decision;
  // Before any content is read. A size of 0 says nothing.
  const uint64_t declared = command.parameters.size_bytes.value_or(0);
  const absl::Status health = health_.MayAccept(declared > 0 ? declared : kUndeclaredBytes);
  if (!health.ok()) {
    decision.refusal = RefusalOf(health, hostname_);
    return decision;
  }
  const std::shared_ptr<const Rules> rules = Current();
  if (rules == nullptr) {
    decision.refusal = smtp::Reply(451, {4, 3, 2}, "Not ready yet: the policy is not known");
    return decision;
  }
  const uint64_t bytes_max = rules->policy->settings().limits.message_bytes_max;
  if (command.parameters.size_bytes.value_or(0) > bytes_max) {
    decision.refusal = smtp::Reply(552, {5, 3, 4},
                                   format("Message size exceeds the limit of {} bytes", bytes_max));
    return decision;
  }
  return rules->relay.OnMail(client, command);
}

smtp::RcptDecision Admission::OnRcpt(const smtp::ClientFacts& client,
                                     const smtp::MailCommand& /*mail*/,
                                     const smtp::RcptCommand& command) {
  smtp::RcptDecision decision;
  const std::shared_ptr<const Rules> rules = Current();
  if (rules == nullptr) {
    decision.refusal = smtp::Reply(451, {4, 3, 2}, "Not ready yet: the policy is not known");
    return decision;
  }
  if (command.accepted >= rules->policy->settings().limits.recipients_max) {
    decision.refusal = smtp::Reply(452, {4, 5, 3}, "Too many recipients; send the rest again");
    return decision;
  }
  return rules->relay.OnRcpt(client, command);
}

}  // namespace holdfast::node
