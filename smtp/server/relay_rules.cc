#include "smtp/server/relay_rules.h"

#include <utility>

#include "base/status.h"

namespace holdfast::smtp {
namespace {

// A domain of configuration as a key; "" if it is none.
std::string ConfiguredKey(std::string_view domain) { return DomainKey(domain).value_or(""); }

// Signs that a local part is an address of its own, which some host behind us might unpack and
// send on: user%far@here, far!user@here, "user@far"@here (smuggled routes).
bool LooksLikeRoute(std::string_view local_part) {
  return UnquoteLocalPart(local_part).find_first_of("%!@") != std::string::npos;
}

Reply NoRelay() { return Reply(550, {5, 7, 1}, "Relaying denied"); }

}  // namespace

absl::StatusOr<RelayRules> RelayRules::Create(const RelayRulesOptions& options) {
  RelayRules rules;
  rules.recipient_delimiter_ = options.recipient_delimiter;
  for (const std::string& text : options.trusted_networks) {
    const std::optional<IpNetwork> network = IpNetwork::Parse(text);
    if (!network) {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        "trusted network \"{}\" is not an address or prefix", text);
    }
    if (network->prefix_bits() == 0) {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        "trusted network \"{}\" is everybody: that is an open relay", text);
    }
    rules.trusted_networks_.push_back(*network);
  }
  for (const RelayDomain& entry : options.relay_domains) {
    const bool below = !entry.domain.empty() && entry.domain.front() == '.';
    const std::string key = ConfiguredKey(std::string_view(entry.domain).substr(below ? 1 : 0));
    if (key.empty() || key.front() == '[') {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        "relay domain \"{}\" is not a domain name", entry.domain);
    }
    Domain domain;
    if (entry.recipients) {
      domain.recipients.emplace();
      for (const std::string& recipient : *entry.recipients) {
        domain.recipients->insert(ToLowerAscii(UnquoteLocalPart(recipient)));
      }
    }
    if (!(below ? rules.below_ : rules.exact_).emplace(key, std::move(domain)).second) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, "relay domain \"{}\" stands twice",
                        entry.domain);
    }
  }
  for (const std::string& name : options.local_names) {
    const std::string key = ConfiguredKey(name);
    if (key.empty()) {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        "local name \"{}\" is not a domain name or address literal", name);
    }
    rules.local_names_.insert(key);
  }
  if (!options.postmaster_address.empty()) {
    PathRules path_rules;
    path_rules.allow_utf8 = true;
    PathResult parsed = ParseMailbox(options.postmaster_address, path_rules);
    if (!parsed.path) {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        "postmaster address \"{}\" is not a mailbox", options.postmaster_address);
    }
    rules.postmaster_ = *std::move(parsed.path);
  }
  return rules;
}

bool RelayRules::IsTrusted(const ClientFacts& client) const {
  if (client.roles.trusted) return true;
  for (const IpNetwork& network : trusted_networks_) {
    if (network.Contains(client.address)) return true;
  }
  return false;
}

bool RelayRules::IsRelayDomain(std::string_view domain_key) const {
  return FindRelayDomain(domain_key) != nullptr;
}

const RelayRules::Domain* RelayRules::FindRelayDomain(std::string_view domain_key) const {
  if (const auto found = exact_.find(domain_key); found != exact_.end()) return &found->second;
  // The nearest parent wins.
  for (size_t dot = domain_key.find('.'); dot != std::string_view::npos;
       dot = domain_key.find('.')) {
    domain_key.remove_prefix(dot + 1);
    if (const auto found = below_.find(domain_key); found != below_.end()) return &found->second;
  }
  return nullptr;
}

bool RelayRules::Knows(const Domain& domain, std::string_view local_part) const {
  if (!domain.recipients) return true;
  const std::string plain = ToLowerAscii(UnquoteLocalPart(local_part));
  if (domain.recipients->contains(plain)) return true;
  if (!recipient_delimiter_) return false;
  const size_t tag = plain.find(*recipient_delimiter_);
  return tag != std::string::npos && tag > 0 && domain.recipients->contains(plain.substr(0, tag));
}

MailDecision RelayRules::OnMail(const ClientFacts& client, const MailCommand& command) const {
  (void)command;  // Who may send as whom is the business of users, not of relaying.
  MailDecision decision;
  decision.trusted = IsTrusted(client) || !client.auth_user.empty();
  if (!decision.trusted && !client.roles.mx) {
    decision.refusal = Reply(530, {5, 7, 0}, "Authentication required");
  }
  return decision;
}

RcptDecision RelayRules::OnRcpt(const ClientFacts& client, const RcptCommand& command) const {
  RcptDecision decision;
  const Path& to = command.recipient;
  const bool postmaster = IsPostmaster(to.local_part);
  const bool ours = local_names_.contains(to.domain_key) && !exact_.contains(to.domain_key);
  if (to.domain_key.empty() || ours) {
    if (postmaster && postmaster_) {
      decision.redirect = postmaster_;
    } else {
      decision.refusal = Reply(550, {5, 1, 1}, "No such user here");
    }
    return decision;
  }
  if (IsTrusted(client) || !client.auth_user.empty()) return decision;

  const Domain* domain = FindRelayDomain(to.domain_key);
  if (domain == nullptr) {
    decision.refusal = NoRelay();
  } else if (postmaster) {
    return decision;
  } else if (LooksLikeRoute(to.local_part)) {
    decision.refusal = NoRelay();
  } else if (!Knows(*domain, to.local_part)) {
    decision.refusal = Reply(550, {5, 1, 1}, "No such user here");
  }
  return decision;
}

}  // namespace holdfast::smtp
