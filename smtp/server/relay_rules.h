// smtp/server/relay_rules.h
// RelayRules decides from configuration alone who may send what through us. Never an open relay: a
// recipient is accepted only if the client is trusted or authenticated, or its domain is ours to
// relay for. The decision is made on the parsed domain and never on text (smuggled routes,
// percent hacks, bang paths, quoted '@', trailing dots and literals lead nowhere).
//
//   clients                          relay domains           elsewhere
//   trusted network, trusted port    accepted                accepted
//   authenticated                    accepted                accepted
//   strangers on an mx port          if the list knows them  550 5.7.1
//   strangers on other ports         530 5.7.0 at MAIL       -
//
// postmaster is accepted from anybody at every relay domain and local name, and without a domain
// (RFC 5321 4.5.1), whatever the recipient lists say.
//
// Threads: immutable after Create(); share it by shared_ptr<const>.
#pragma once

#include <absl/status/statusor.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/server/relay_policy.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::smtp {

struct RelayDomain {
  // "example.org", or ".example.org" for every name below it (not itself).
  std::string domain;
  // Local parts that exist there, compared without letter case; absent: every one does.
  std::optional<std::vector<std::string>> recipients;
};

struct RelayRulesOptions {
  // "192.0.2.0/24", "2001:db8::/32" or single addresses. /0 is an error.
  std::vector<std::string> trusted_networks = {"127.0.0.0/8", "::1"};
  std::vector<RelayDomain> relay_domains;
  // Names of this relay itself: the host name, the cluster's mail name. Only postmaster lives
  // there.
  std::vector<std::string> local_names;
  // Where mail for postmaster at local names and for <Postmaster> goes. Without it both are 550.
  std::string postmaster_address;
  // "user+tag" is known where "user" is, when set to '+'.
  std::optional<char> recipient_delimiter;
};

class RelayRules {
 public:
  // kInvalidArgument names the entry at fault.
  static absl::StatusOr<RelayRules> Create(const RelayRulesOptions& options);

  MailDecision OnMail(const ClientFacts& client, const MailCommand& command) const;
  RcptDecision OnRcpt(const ClientFacts& client, const RcptCommand& command) const;

  // On a trusted network or port. Authentication is another thing.
  bool IsTrusted(const ClientFacts& client) const;
  // `domain_key` is a relay domain, or below a wildcard one.
  bool IsRelayDomain(std::string_view domain_key) const;

 private:
  struct Domain {
    std::optional<std::set<std::string>> recipients;  // Lower case, unquoted.
  };

  RelayRules() = default;
  const Domain* FindRelayDomain(std::string_view domain_key) const;
  bool Knows(const Domain& domain, std::string_view local_part) const;

  std::vector<IpNetwork> trusted_networks_;
  std::map<std::string, Domain, std::less<>> exact_;
  std::map<std::string, Domain, std::less<>> below_;  // Without the leading dot.
  std::set<std::string, std::less<>> local_names_;
  std::optional<Path> postmaster_;
  std::optional<char> recipient_delimiter_;
};

}  // namespace holdfast::smtp
