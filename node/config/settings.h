// node/config/settings.h
// What the two configuration files mean, once they are checked: plain values with every default
// filled in. NodeSettings comes from the node file, PolicySettings from the replicated policy. The
// fields are those of proto/config.proto, which says what each is for; here only what differs.
// config_reader.h makes them; whoever holds one need not check anything again.
// Threads: values.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/strong_id.h"
#include "node/config/network_address.h"

namespace holdfast::node {

// ---- The node file -----------------------------------------------------------------------------

enum class ListenerTls { kNone, kStartTls, kImplicit };

struct ListenerSettings {
  SocketAddress address{"127.0.0.1", 2525};
  bool mx = true;
  bool submission = true;
  bool trusted = false;
  ListenerTls tls = ListenerTls::kNone;
};

struct TlsFileSettings {
  std::string certificate_file;
  std::string key_file;
};

struct MutualTlsSettings {
  std::string certificate_file;
  std::string key_file;
  std::string authority_file;
};

struct AdminTcpSettings {
  SocketAddress address;
  MutualTlsSettings tls;
};

struct AdminSettings {
  std::string socket;  // Path, with the data directory in front already.
  std::optional<AdminTcpSettings> tcp;
  uint64_t message_bytes_max = 16 << 20;
  uint32_t threads_max = 8;
  uint32_t http_connections_max = 64;
  absl::Duration http_timeout = absl::Seconds(10);
};

struct ResolverSettings {
  std::vector<SocketAddress> forwarders;  // Empty: those of /etc/resolv.conf.
  absl::Duration timeout = absl::Seconds(20);
  uint64_t cache_bytes_max = 32 << 20;
  uint32_t questions_max = 1000;
  std::string trust_anchor_file;
};

struct StorageSettings {
  uint64_t body_memtable_bytes = 256 << 20;
  uint64_t state_memtable_bytes = 64 << 20;
  uint64_t cache_bytes = 128 << 20;
  uint64_t disk_reserve_bytes = uint64_t{2} << 30;
  uint32_t background_threads = 2;
  uint32_t open_files_max = 512;
};

struct SessionSettings {
  uint32_t io_threads = 1;
  uint32_t sessions_max = 1000;
  uint32_t sessions_per_client_max = 50;
  uint64_t memory_bytes_max = 256 << 20;
  absl::Duration command_timeout = absl::Minutes(5);
  absl::Duration data_timeout = absl::Minutes(3);
  absl::Duration message_timeout = absl::Hours(1);
  absl::Duration session_timeout = absl::Hours(4);
  absl::Duration tls_handshake_timeout = absl::Seconds(30);
  uint32_t errors_max = 20;
  uint64_t line_bytes_max = 1 << 20;
  uint32_t hops_max = 100;
};

struct AttemptSettings {
  uint32_t connections_max = 500;
  uint64_t memory_bytes_max = 128 << 20;
  absl::Duration connect_timeout = absl::Seconds(30);
  absl::Duration greeting_timeout = absl::Minutes(5);
  absl::Duration command_timeout = absl::Minutes(5);
  absl::Duration data_timeout = absl::Minutes(2);
  absl::Duration block_timeout = absl::Minutes(3);
  absl::Duration final_dot_timeout = absl::Minutes(10);
  absl::Duration tls_handshake_timeout = absl::Seconds(30);
  absl::Duration idle_connection_timeout = absl::Seconds(5);
  uint32_t quarantine_after_crashes = 3;
  std::string source_ipv4;  // Empty: the kernel chooses.
  std::string source_ipv6;
};

struct TimingSettings {
  absl::Duration tick = absl::Milliseconds(50);
  absl::Duration heartbeat = absl::Milliseconds(150);
  absl::Duration election_min = absl::Seconds(1);
  absl::Duration election_max = absl::Seconds(2);
  absl::Duration commit_timeout = absl::Seconds(5);
  absl::Duration drain_deadline = absl::Seconds(30);
};

struct OverloadSettings {
  absl::Duration event_loop_lag_max = absl::Milliseconds(500);
  absl::Duration sync_latency_max = absl::Milliseconds(300);
  uint32_t cpu_wait_percent_max = 50;
  uint32_t memory_percent_max = 80;
  absl::Duration due_age_max = absl::Seconds(60);
  uint32_t refuse_percent = 200;
  absl::Duration calm_for = absl::Seconds(60);
  absl::Duration move_interval = absl::Seconds(60);
  bool hand_over = true;
  absl::Duration clock_difference_max = absl::Seconds(30);
};

struct PeerSettings {
  NodeId node_id;
  std::string host;  // Name or address.
  uint16_t port = 0;
};

struct ClusterSettings {
  SocketAddress address{"0.0.0.0", 7026};
  std::optional<MutualTlsSettings> tls;  // Empty: plain text on loopback.
  std::string cluster_id;                // Empty: the certificate says it.
  std::vector<PeerSettings> peers;
  bool join = false;  // Of a cluster that is there, instead of forming one.
};

struct NodeSettings {
  std::string data_dir = "holdfast-data";
  NodeId node_id{1};
  std::string hostname;  // Never empty: an address literal on loopback.
  std::vector<ListenerSettings> listeners;
  std::optional<TlsFileSettings> tls;
  std::optional<SocketAddress> http_address;  // Empty: off.
  AdminSettings admin;
  std::string user;  // Empty: stay who we are.
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kLogfmt;
  std::string policy_file;  // Empty: none.
  ResolverSettings resolver;
  StorageSettings storage;
  SessionSettings sessions;
  AttemptSettings attempts;
  TimingSettings timing;
  std::optional<ClusterSettings> cluster;  // Present only when peers are configured.
  OverloadSettings overload;

  // Any SMTP listener can be reached from another machine.
  bool BeyondLoopback() const;
};

// ---- The policy --------------------------------------------------------------------------------

enum class TlsPolicy { kNone, kMay, kEncrypt, kVerify };

enum class NextHopKind {
  kMx,    // MX hosts of the destination itself.
  kMxOf,  // MX hosts of `host`.
  kHost,  // `host` itself, no MX lookup: a name or an IP address without brackets.
};

struct RouteSettings {
  std::string pattern;  // "example.com", ".example.com" or "*"; lower case A-labels.
  NextHopKind kind = NextHopKind::kMx;
  std::string host;
  uint16_t port = 25;
  TlsPolicy tls = TlsPolicy::kMay;
};

struct RelayDomainSettings {
  std::string domain;  // Lower case A-labels; a leading dot means every domain below.
  // Local parts as written. Compared without regard to case. Absent: every recipient exists.
  std::optional<std::set<std::string>> recipients;
};

struct RateLimit {
  uint32_t count = 0;
  absl::Duration per;
};

struct RetrySettings {
  std::vector<absl::Duration> waits = {absl::Minutes(5), absl::Minutes(10), absl::Minutes(20),
                                       absl::Minutes(40), absl::Hours(1)};
  uint32_t jitter_percent = 20;
  absl::Duration expiry = absl::Hours(5 * 24);
  absl::Duration null_sender_expiry = absl::Hours(5 * 24);
  absl::Duration delay_notice_after = absl::Hours(4);
  bool delay_notice_always = false;
};

// What holds for one destination: a rule's values, the general ones where it has none.
struct DestinationSettings {
  std::string pattern;
  uint32_t connections_max = 20;
  uint32_t recipients_per_transaction_max = 50;
  uint32_t messages_per_connection_max = 100;
  std::optional<RateLimit> message_rate;
  RetrySettings retry;
};

struct LimitSettings {
  uint64_t message_bytes_max = 50 << 20;
  uint32_t recipients_max = 1000;
  uint64_t notice_content_bytes_max = 64 << 10;
};

enum class InDoubtPolicy { kRetry, kHold, kBounce };

struct ReplaySettings {
  absl::Duration remember_for = absl::Minutes(15);
  uint32_t messages_max = 100'000;  // In each queue group.
};

struct PolicySettings {
  std::string mail_name;           // Empty: the accepting node's hostname.
  std::string postmaster_address;  // Empty only while every node listens on loopback alone.
  std::vector<Network> trusted_networks;
  std::map<std::string, RelayDomainSettings> relay_domains;  // By domain.
  std::map<std::string, RouteSettings> routes;               // By pattern; "*" is always there.
  std::map<std::string, DestinationSettings> destinations;   // By pattern; "*" is always there.
  LimitSettings limits;
  uint32_t addresses_per_attempt_max = 5;
  absl::Duration in_doubt_wait = absl::Seconds(30);
  InDoubtPolicy in_doubt_policy = InDoubtPolicy::kRetry;
  ReplaySettings replays;
  std::map<std::string, std::string> suppressions;  // Address or "@domain" -> reason.
};

}  // namespace holdfast::node
