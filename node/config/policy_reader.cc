// The policy: from its message to PolicySettings, with every semantic check.
#include <google/protobuf/text_format.h>

#include <utility>

#include "base/text.h"
#include "node/config/config_reader.h"
#include "node/config/config_text.h"
#include "node/config/config_values.h"
#include "proto/config.pb.h"
#include "smtp/protocol/address.h"

namespace holdfast::node {
namespace {

constexpr uint32_t kCountMax = 1000000;
constexpr DurationBounds kWaitBounds = {absl::Milliseconds(1), absl::Hours(24 * 30)};
constexpr DurationBounds kExpiryBounds = {absl::ZeroDuration(), absl::Hours(24 * 365)};

class PolicyReader {
 public:
  PolicyReader(const ConfigScope& root, const PolicyReadOptions& options)
      : root_(root), options_(options) {}

  PolicySettings Read() {
    ReadNames();
    ReadTrustedNetworks();
    ReadRelayDomains();
    ReadLimits();
    ReadRetry(root_.Nested("retry"), &general_.retry);
    ReadOutbound();
    ReadRoutes();
    ReadDestinations();
    ReadInDoubt();
    ReadReplays();
    ReadSuppressions();
    return std::move(settings_);
  }

 private:
  void ReadNames() {
    if (root_.Has("mail_name")) {
      const std::string text = root_.Text("mail_name");
      const std::optional<std::string> key = smtp::DomainKey(text);
      if (!key || key->starts_with('[')) {
        root_.Problem("mail_name", format("`{}` is no domain; write one as \"example.com\"", text));
      } else {
        settings_.mail_name = *key;
      }
    }
    if (root_.Has("postmaster_address")) {
      const std::string text = root_.Text("postmaster_address");
      const smtp::PathResult parsed = smtp::ParseMailbox(text, smtp::PathRules{});
      if (!parsed.path || parsed.path->domain.empty()) {
        root_.Problem("postmaster_address",
                      format("`{}` is no address; write one as \"ops@example.com\"", text));
      } else {
        settings_.postmaster_address = parsed.path->mailbox();
      }
    } else if (options_.beyond_loopback) {
      root_.Problem(
          "postmaster_address",
          "postmaster_address is required when a listener can be reached from outside: who "
          "reads mail to postmaster and notices that cannot be returned");
    }
  }

  void ReadTrustedNetworks() {
    const int count = root_.CountOf("trusted_networks");
    if (count == 0) {
      settings_.trusted_networks = {*Network::Parse("127.0.0.0/8"), *Network::Parse("::1")};
    }
    for (int i = 0; i < count; ++i) {
      const std::string text = root_.Text("trusted_networks", i);
      const std::optional<Network> network = Network::Parse(text);
      if (!network) {
        root_.ProblemAt("trusted_networks", i,
                        format("`{}` is no network; write \"192.0.2.0/24\" or \"2001:db8::/32\", "
                               "with zeros behind the prefix, or one address",
                               text));
      } else if (network->CoversAllIpv4() || network->PrefixLength() == 0) {
        root_.ProblemAt(
            "trusted_networks", i,
            format("`{}` trusts everybody, which makes an open relay; name the networks "
                   "of your own clients",
                   text));
      } else {
        settings_.trusted_networks.push_back(*network);
      }
    }
  }

  // "example.com", ".example.com" and, where allowed, "*", as keys. Notes a problem otherwise.
  std::optional<std::string> ReadPattern(const ConfigScope& scope, std::string_view field,
                                         bool star_allowed) {
    const std::string text = scope.RequiredText(field);
    if (text.empty()) return std::nullopt;
    if (text == "*" && star_allowed) return text;
    const bool below = text[0] == '.';
    std::optional<std::string> key = smtp::DomainKey(below ? text.substr(1) : text);
    if (!key || (below && key->starts_with('['))) {
      scope.Problem(field, format("`{}` is no domain; write \"example.com\"{} \".example.com\" for "
                                  "every domain below it",
                                  text, star_allowed ? ", \"*\" for all, or" : ", or"));
      return std::nullopt;
    }
    return below ? "." + *key : *key;
  }

  void ReadRelayDomains() {
    for (int i = 0; i < root_.CountOf("relay_domains"); ++i) {
      const ConfigScope scope = root_.Nested("relay_domains", i);
      const std::optional<std::string> domain = ReadPattern(scope, "domain", false);
      if (!domain) continue;
      RelayDomainSettings relay{*domain, std::nullopt};
      for (int j = 0; j < scope.CountOf("recipients"); ++j) {
        const std::string text = scope.Text("recipients", j);
        const bool whole = text.find('@') != std::string::npos && text[0] != '"';
        if (text.empty() || whole || !smtp::ParseMailbox(text + "@x.example", LocalRules()).path) {
          scope.ProblemAt("recipients", j,
                          format("`{}` is no local part; write what stands before the @", text));
          continue;
        }
        if (!relay.recipients) relay.recipients.emplace();
        relay.recipients->insert(smtp::ToLowerAscii(text));
      }
      if (!settings_.relay_domains.emplace(*domain, std::move(relay)).second) {
        scope.Problem("domain", format("relay domain `{}` is given twice; keep one", *domain));
      }
    }
  }

  static smtp::PathRules LocalRules() {
    smtp::PathRules rules;
    rules.allow_utf8 = true;
    return rules;
  }

  static void ReadRate(const ConfigScope& scope, std::optional<RateLimit>* rate) {
    if (!scope.Has("message_rate")) return;
    const std::string text = scope.Text("message_rate");
    *rate = ParseRate(text);
    if (!*rate) {
      scope.Problem("message_rate",
                    format("`{}` is no rate; write messages and time, as \"100/1m\"", text));
    }
  }

  static void ReadDestinationLimits(const ConfigScope& scope, std::string_view connections_field,
                                    DestinationSettings* destination) {
    scope.ReadNumber(connections_field, &destination->connections_max, 1, kCountMax);
    scope.ReadNumber("recipients_per_transaction_max", &destination->recipients_per_transaction_max,
                     1, kCountMax);
    scope.ReadNumber("messages_per_connection_max", &destination->messages_per_connection_max, 1,
                     kCountMax);
    ReadRate(scope, &destination->message_rate);
  }

  void ReadLimits() {
    const ConfigScope scope = root_.Nested("limits");
    LimitSettings& limits = settings_.limits;
    scope.ReadNumber("message_bytes_max", &limits.message_bytes_max, 1024, uint64_t{2} << 30);
    scope.ReadNumber("recipients_max", &limits.recipients_max, 1, 10000);
    scope.ReadNumber("notice_content_bytes_max", &limits.notice_content_bytes_max, 0, 1 << 20);
    ReadDestinationLimits(scope, "connections_per_destination_max", &general_);
  }

  static void ReadRetry(const ConfigScope& scope, RetrySettings* retry) {
    constexpr int kWaitsMax = 100;
    const int count = scope.CountOf("waits");
    if (count > kWaitsMax) {
      scope.ProblemAt("waits", kWaitsMax, format("at most {} waits", kWaitsMax));
    } else if (count > 0) {
      retry->waits.clear();
      for (int i = 0; i < count; ++i) {
        const auto wait = scope.DurationOf("waits", i, kWaitBounds);
        if (wait) retry->waits.push_back(*wait);
      }
    }
    scope.ReadNumber("jitter_percent", &retry->jitter_percent, 0, 90);
    scope.ReadDuration("expiry", &retry->expiry, kExpiryBounds);
    if (scope.Has("expiry")) retry->null_sender_expiry = retry->expiry;
    scope.ReadDuration("null_sender_expiry", &retry->null_sender_expiry, kExpiryBounds);
    scope.ReadDuration("delay_notice_after", &retry->delay_notice_after, kExpiryBounds);
    scope.ReadFlag("delay_notice_always", &retry->delay_notice_always);
  }

  static void ReadTlsPolicy(const ConfigScope& scope, TlsPolicy* tls) {
    const std::optional<int> given = scope.Enumerator("tls");
    if (!given) return;
    *tls = *given == config::TLS_NONE      ? TlsPolicy::kNone
           : *given == config::TLS_ENCRYPT ? TlsPolicy::kEncrypt
           : *given == config::TLS_VERIFY  ? TlsPolicy::kVerify
                                           : TlsPolicy::kMay;
  }

  void ReadOutbound() {
    const ConfigScope scope = root_.Nested("outbound");
    scope.ReadNumber("port", &default_route_.port, 1, 65535);
    ReadTlsPolicy(scope, &default_route_.tls);
    scope.ReadNumber("addresses_per_attempt_max", &settings_.addresses_per_attempt_max, 1, 100);
    default_route_.pattern = "*";
  }

  void ReadRoutes() {
    for (int i = 0; i < root_.CountOf("routes"); ++i) {
      const ConfigScope scope = root_.Nested("routes", i);
      RouteSettings route = default_route_;
      const std::optional<std::string> pattern = ReadPattern(scope, "destination", true);
      scope.ReadNumber("port", &route.port, 1, 65535);
      ReadTlsPolicy(scope, &route.tls);
      if (scope.Has("next_hop")) ReadNextHop(scope, &route);
      if (!pattern) continue;
      route.pattern = *pattern;
      if (!settings_.routes.emplace(*pattern, std::move(route)).second) {
        scope.Problem("destination", format("two routes for `{}`; keep one", *pattern));
      }
    }
    settings_.routes.emplace("*", default_route_);
  }

  static void ReadNextHop(const ConfigScope& scope, RouteSettings* route) {
    const std::string text = scope.Text("next_hop");
    if (smtp::EqualsIgnoreCase(text, "mx")) return;
    if (!text.starts_with('[')) {
      const std::optional<std::string> key = smtp::DomainKey(text);
      if (!key) {
        scope.Problem(
            "next_hop",
            format("`{}` is no next hop; write \"mx\", \"example.net\" for its MX hosts, or "
                   "\"[mail.example.net]:25\" for that host itself",
                   text));
        return;
      }
      route->kind = NextHopKind::kMxOf;
      route->host = *key;
      return;
    }
    const size_t close = text.find(']');
    std::string host = text.substr(1, close == std::string::npos ? close : close - 1);
    if (smtp::EqualsIgnoreCase(host.substr(0, 5), "IPv6:")) host = host.substr(5);
    const std::string port = close == std::string::npos ? "missing" : text.substr(close + 1);
    // The port is read by putting an address in the host's place.
    const auto stand_in = SocketAddress::Parse("127.0.0.1" + port, route->port);
    const std::optional<std::string> name =
        ParseIpAddress(host) ? std::optional<std::string>(host) : smtp::DomainKey(host);
    if (!stand_in || stand_in->port == 0 || !name || name->starts_with('[')) {
      scope.Problem("next_hop", format("`{}` is no host; write \"[mail.example.net]\", "
                                       "\"[192.0.2.1]:2525\" or \"[2001:db8::1]:2525\"",
                                       text));
      return;
    }
    if (!port.empty() && scope.Has("port")) {
      scope.Problem("port", "the port is given twice, here and in next_hop; keep one");
    }
    route->kind = NextHopKind::kHost;
    route->host = *name;
    route->port = stand_in->port;
  }

  void ReadDestinations() {
    for (int i = 0; i < root_.CountOf("destinations"); ++i) {
      const ConfigScope scope = root_.Nested("destinations", i);
      DestinationSettings destination = general_;
      const std::optional<std::string> pattern = ReadPattern(scope, "destination", true);
      ReadDestinationLimits(scope, "connections_max", &destination);
      ReadRetry(scope.Nested("retry"), &destination.retry);
      if (!pattern) continue;
      destination.pattern = *pattern;
      if (!settings_.destinations.emplace(*pattern, std::move(destination)).second) {
        scope.Problem("destination", format("two rules for destination `{}`; keep one", *pattern));
      }
    }
    general_.pattern = "*";
    settings_.destinations.emplace("*", general_);
  }

  void ReadInDoubt() {
    const ConfigScope scope = root_.Nested("in_doubt");
    scope.ReadDuration("wait", &settings_.in_doubt_wait, {absl::ZeroDuration(), absl::Hours(24)});
    const std::optional<int> then = scope.Enumerator("then");
    if (then == config::IN_DOUBT_HOLD) settings_.in_doubt_policy = InDoubtPolicy::kHold;
    if (then == config::IN_DOUBT_BOUNCE) settings_.in_doubt_policy = InDoubtPolicy::kBounce;
  }

  void ReadReplays() {
    const ConfigScope scope = root_.Nested("replays");
    scope.ReadDuration("remember_for", &settings_.replays.remember_for,
                       {absl::ZeroDuration(), absl::Hours(24)});
    scope.ReadNumber("messages_max", &settings_.replays.messages_max, 1, kCountMax);
  }

  void ReadSuppressions() {
    for (int i = 0; i < root_.CountOf("suppressions"); ++i) {
      const ConfigScope scope = root_.Nested("suppressions", i);
      const std::string text = scope.RequiredText("address");
      if (text.empty()) continue;
      std::string key;
      if (text[0] == '@') {
        const std::optional<std::string> domain = smtp::DomainKey(text.substr(1));
        if (domain) key = "@" + *domain;
      } else {
        const smtp::PathResult parsed = smtp::ParseMailbox(text, LocalRules());
        if (parsed.path && !parsed.path->domain.empty()) {
          key =
              format("{}@{}", smtp::ToLowerAscii(parsed.path->local_part), parsed.path->domain_key);
        }
      }
      if (key.empty()) {
        scope.Problem("address", format("`{}` is no address; write \"user@example.com\" or "
                                        "\"@example.com\"",
                                        text));
        continue;
      }
      if (!settings_.suppressions.emplace(key, scope.Text("reason")).second) {
        scope.Problem("address", format("`{}` is suppressed twice; keep one", text));
      }
    }
  }

  const ConfigScope& root_;
  const PolicyReadOptions& options_;
  PolicySettings settings_;
  DestinationSettings general_;
  RouteSettings default_route_;
};

}  // namespace

ConfigResult<PolicySettings> ReadPolicy(std::string_view text, const PolicyReadOptions& options) {
  ConfigResult<PolicySettings> result;
  config::Policy message;
  ParseInfoTree tree;
  if (!ParseConfigText(text, &message, &tree, &result.problems)) return result;
  const ConfigScope root(message, &tree, &result.problems);
  result.settings = PolicyReader(root, options).Read();
  return result;
}

std::string CanonicalPolicyText(std::string_view text) {
  config::Policy message;
  ParseInfoTree tree;
  std::vector<ConfigProblem> problems;
  const bool parsed = ParseConfigText(text, &message, &tree, &problems);
  if (!parsed || !problems.empty()) return std::string(text);
  std::string canonical;
  google::protobuf::TextFormat::Printer printer;
  printer.SetUseUtf8StringEscaping(true);
  printer.PrintToString(message, &canonical);
  return canonical;
}

}  // namespace holdfast::node
