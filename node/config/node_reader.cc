// The node file: from its message to NodeSettings, with every semantic check.
#include <pwd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>
#include <utility>

#include "base/text.h"
#include "node/config/config_reader.h"
#include "node/config/config_text.h"
#include "proto/config.pb.h"
#include "raft/transport/peer_address.h"
#include "raft/transport/peer_identity.h"
#include "smtp/protocol/address.h"

namespace holdfast::node {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
constexpr int kPeersMax = raft::kClusterNodesMax - 1;
constexpr uint64_t kBytesMax = uint64_t{1} << 50;

class NodeReader {
 public:
  NodeReader(const ConfigScope& root, const NodeReadOptions& options)
      : root_(root), options_(options) {}

  NodeSettings Read() {
    root_.ReadText("data_dir", &settings_.data_dir);
    CheckDataDirectory();
    uint64_t node_id = settings_.node_id.value();
    root_.ReadNumber("node_id", &node_id, 1, UINT32_MAX);
    settings_.node_id = NodeId(node_id);
    if (root_.Has("tls")) settings_.tls = ReadTlsFiles(root_.Nested("tls"));
    ReadListeners();
    ReadHostname();
    ReadHttpAddress();
    ReadAdmin();
    ReadUser();
    ReadLog();
    root_.ReadText("policy_file", &settings_.policy_file);
    if (root_.Has("policy_file")) CheckReadable(root_, "policy_file", settings_.policy_file);
    ReadResolver();
    ReadStorage();
    ReadSessions();
    ReadAttempts();
    ReadTiming();
    ReadCluster();
    ReadOverload();
    CheckSeedPolicy();
    return std::move(settings_);
  }

 private:
  // ---- Files ----

  void CheckReadable(const ConfigScope& scope, std::string_view field, const std::string& path) {
    if (!options_.check_files) return;
    struct stat entry {};
    if (stat(path.c_str(), &entry) != 0 || access(path.c_str(), R_OK) != 0) {
      scope.Problem(field, format("cannot read {} `{}`: {}", field, path, std::strerror(errno)));
    } else if (!S_ISREG(entry.st_mode)) {
      scope.Problem(field, format("{} `{}` is not a file", field, path));
    } else if (field == "key_file" && (entry.st_mode & 07) != 0) {
      scope.Problem(field, format("key_file `{0}` is open to everybody; run: chmod 600 {0}", path));
    }
  }

  void CheckDataDirectory() {
    if (settings_.data_dir.empty()) {
      root_.Problem("data_dir", "data_dir must not be empty");
      return;
    }
    if (!options_.check_files) return;
    // The directory itself, or what it would be made in.
    std::filesystem::path path(settings_.data_dir);
    struct stat entry {};
    while (stat(path.c_str(), &entry) != 0) {
      if (errno != ENOENT) {
        root_.Problem("data_dir", format("cannot use data_dir `{}`: {}", settings_.data_dir,
                                         std::strerror(errno)));
        return;
      }
      const std::filesystem::path parent = path.parent_path();
      if (parent == path) return;
      path = parent.empty() ? "." : parent;
    }
    if (!S_ISDIR(entry.st_mode)) {
      root_.Problem("data_dir", format("data_dir `{}`: `{}` is not a directory", settings_.data_dir,
                                       path.string()));
    } else if (access(path.c_str(), W_OK | X_OK) != 0) {
      root_.Problem("data_dir", format("cannot write to `{}` for data_dir `{}`: {}", path.string(),
                                       settings_.data_dir, std::strerror(errno)));
    }
  }

  // What a first start would refuse is refused before it makes anything. Later the file is ignored,
  // and a mistake in it stops nobody.
  void CheckSeedPolicy() {
    if (!options_.check_files || settings_.policy_file.empty()) return;
    std::error_code error;  // Whatever is wrong with the directory was said at data_dir.
    const bool used = std::filesystem::exists(settings_.data_dir, error) &&
                      !std::filesystem::is_empty(settings_.data_dir, error);
    if (used || error) return;
    const FileText file = ReadConfigFile(settings_.policy_file);
    if (!file.problems.empty()) return;  // CheckReadable() said it.
    for (const ConfigProblem& problem :
         ReadPolicy(file.text, {.beyond_loopback = settings_.BeyondLoopback()}).problems) {
      root_.Problem("policy_file",
                    format("policy_file {}", problem.ToString(settings_.policy_file)));
    }
  }

  TlsFileSettings ReadTlsFiles(const ConfigScope& scope) {
    TlsFileSettings tls;
    tls.certificate_file = scope.RequiredText("certificate_file");
    tls.key_file = scope.RequiredText("key_file");
    if (!tls.certificate_file.empty()) {
      CheckReadable(scope, "certificate_file", tls.certificate_file);
    }
    if (!tls.key_file.empty()) CheckReadable(scope, "key_file", tls.key_file);
    return tls;
  }

  MutualTlsSettings ReadMutualTls(const ConfigScope& parent) {
    if (!parent.Has("tls")) {
      parent.Problem("tls", "tls { certificate_file key_file authority_file } is required here");
      return {};
    }
    const ConfigScope scope = parent.Nested("tls");
    const TlsFileSettings own = ReadTlsFiles(scope);
    MutualTlsSettings tls{own.certificate_file, own.key_file, scope.RequiredText("authority_file")};
    if (!tls.authority_file.empty()) CheckReadable(scope, "authority_file", tls.authority_file);
    return tls;
  }

  // ---- Names and addresses ----

  std::optional<SocketAddress> ReadAddress(const ConfigScope& scope, std::string_view field,
                                           std::optional<uint16_t> default_port = std::nullopt) {
    const std::string text = scope.RequiredText(field);
    if (text.empty()) return std::nullopt;
    std::optional<SocketAddress> address = SocketAddress::Parse(text, default_port);
    if (!address) {
      scope.Problem(field, format("`{}` is no address; write an IP address and a port, as "
                                  "\"127.0.0.1:2525\" or \"[::1]:2525\"",
                                  text));
    }
    return address;
  }

  void ReadListeners() {
    const int count = root_.CountOf("listeners");
    std::set<std::string> seen;
    for (int i = 0; i < count; ++i) {
      const ConfigScope scope = root_.Nested("listeners", i);
      ListenerSettings listener;
      listener.tls = settings_.tls ? ListenerTls::kStartTls : ListenerTls::kNone;
      ReadRoles(scope, &listener);
      if (const std::optional<int> tls = scope.Enumerator("tls")) {
        listener.tls = *tls == config::IMPLICIT   ? ListenerTls::kImplicit
                       : *tls == config::STARTTLS ? ListenerTls::kStartTls
                                                  : ListenerTls::kNone;
        if (listener.tls != ListenerTls::kNone && !settings_.tls) {
          scope.Problem("tls", "TLS needs a certificate; add tls { certificate_file key_file }");
        }
      }
      const std::optional<SocketAddress> address = ReadAddress(scope, "address");
      if (!address) continue;
      listener.address = *address;
      if (!address->IsLoopback() && !reachable_listener_) reachable_listener_ = i;
      if (address->port != 0 && !seen.insert(address->ToString()).second) {
        scope.Problem("address", format("two listeners have the address {}", address->ToString()));
      }
      settings_.listeners.push_back(std::move(listener));
    }
    if (count == 0) {
      settings_.listeners.emplace_back();
      if (settings_.tls) settings_.listeners.back().tls = ListenerTls::kStartTls;
    }
  }

  static void ReadRoles(const ConfigScope& scope, ListenerSettings* listener) {
    const int count = scope.CountOf("roles");
    if (count == 0) return;
    listener->mx = listener->submission = listener->trusted = false;
    for (int i = 0; i < count; ++i) {
      const std::optional<int> role = scope.Enumerator("roles", i);
      if (role == config::MX) listener->mx = true;
      if (role == config::SUBMISSION) listener->submission = true;
      if (role == config::TRUSTED) listener->trusted = true;
    }
  }

  void ReadHostname() {
    const bool beyond = settings_.BeyondLoopback();
    if (!root_.Has("hostname")) {
      if (beyond) {
        root_.ProblemAt("listeners", *reachable_listener_,
                        "hostname is required when a listener can be reached from outside: add "
                        "hostname: with the fully qualified name of this host");
      }
      const bool ipv6 = !settings_.listeners.empty() &&
                        settings_.listeners[0].address.ip.find(':') != std::string::npos;
      settings_.hostname = ipv6 ? "[IPv6:::1]" : "[127.0.0.1]";
      return;
    }
    const std::string text = root_.Text("hostname");
    const std::optional<std::string> key = smtp::DomainKey(text);
    const bool qualified = key && (key->find('.') != std::string::npos || key->starts_with('['));
    if (!key || (beyond && !qualified)) {
      root_.Problem(
          "hostname",
          format("`{}` is no fully qualified name; write one as \"mail.example.com\"", text));
      return;
    }
    settings_.hostname = smtp::IsAscii(text) ? text : *key;
  }

  void ReadHttpAddress() {
    settings_.http_address = SocketAddress{"127.0.0.1", 7080};
    if (!root_.Has("http_address")) return;
    if (root_.Text("http_address") == "off") {
      settings_.http_address.reset();
    } else {
      settings_.http_address = ReadAddress(root_, "http_address");
    }
  }

  // ---- Admin, user, log ----

  void ReadAdmin() {
    const ConfigScope scope = root_.Nested("admin");
    AdminSettings& admin = settings_.admin;
    admin.socket = (std::filesystem::path(settings_.data_dir) / "admin.sock").string();
    scope.ReadText("socket", &admin.socket);
    constexpr size_t kSocketPathMax = sizeof(sockaddr_un::sun_path) - 1;
    if (admin.socket.empty() || admin.socket.size() > kSocketPathMax) {
      const std::string text = format(
          "the admin socket's path `{}` must have 1 to {} characters; "
          "set `socket` in `admin`",
          admin.socket, kSocketPathMax);
      if (scope.Has("socket")) {
        scope.Problem("socket", text);
      } else {
        root_.Problem("data_dir", text);
      }
    }
    scope.ReadNumber("message_bytes_max", &admin.message_bytes_max, 64 << 10, 1 << 30);
    scope.ReadNumber("threads_max", &admin.threads_max, 2, 256);
    scope.ReadNumber("http_connections_max", &admin.http_connections_max, 1, 100000);
    scope.ReadDuration("http_timeout", &admin.http_timeout);
    if (!scope.Has("tcp")) return;
    const ConfigScope tcp = scope.Nested("tcp");
    AdminTcpSettings settings;
    if (const auto address = ReadAddress(tcp, "address", 7027)) settings.address = *address;
    settings.tls = ReadMutualTls(tcp);
    admin.tcp = std::move(settings);
  }

  void ReadUser() {
    root_.ReadText("user", &settings_.user);
    if (settings_.user.empty() || !options_.check_files) return;
    // Single-threaded here: the file is read before any thread starts.
    if (getpwnam(settings_.user.c_str()) == nullptr) {
      root_.Problem("user", format("there is no user `{}` on this host", settings_.user));
    }
  }

  void ReadLog() {
    const ConfigScope scope = root_.Nested("log");
    if (const std::optional<int> level = scope.Enumerator("level")) {
      settings_.log_level = *level == config::DEBUG   ? LogLevel::kDebug
                            : *level == config::WARN  ? LogLevel::kWarn
                            : *level == config::ERROR ? LogLevel::kError
                                                      : LogLevel::kInfo;
    }
    if (scope.Enumerator("format") == config::JSON) settings_.log_format = LogFormat::kJson;
  }

  // ---- Bounds and times ----

  void ReadResolver() {
    constexpr int kForwardersMax = 8;
    const ConfigScope scope = root_.Nested("resolver");
    ResolverSettings& resolver = settings_.resolver;
    for (int i = 0; i < scope.CountOf("forwarders"); ++i) {
      const std::string text = scope.Text("forwarders", i);
      const std::optional<SocketAddress> address = SocketAddress::Parse(text, 53);
      if (!address || address->port == 0) {
        scope.ProblemAt("forwarders", i,
                        format("`{}` is no resolver's address; write \"192.0.2.53\" or "
                               "\"192.0.2.53:5353\"",
                               text));
      } else if (i == kForwardersMax) {
        scope.ProblemAt("forwarders", i, format("at most {} forwarders", kForwardersMax));
      } else if (i < kForwardersMax) {
        resolver.forwarders.push_back(*address);
      }
    }
    scope.ReadDuration("timeout", &resolver.timeout);
    scope.ReadNumber("cache_bytes_max", &resolver.cache_bytes_max, kMebibyte, kBytesMax);
    scope.ReadNumber("questions_max", &resolver.questions_max, 1, 1000000);
    scope.ReadText("trust_anchor_file", &resolver.trust_anchor_file);
    if (!resolver.trust_anchor_file.empty()) {
      CheckReadable(scope, "trust_anchor_file", resolver.trust_anchor_file);
    }
  }

  void ReadStorage() {
    const ConfigScope scope = root_.Nested("storage");
    StorageSettings& storage = settings_.storage;
    scope.ReadNumber("body_memtable_bytes", &storage.body_memtable_bytes, kMebibyte, kBytesMax);
    scope.ReadNumber("state_memtable_bytes", &storage.state_memtable_bytes, kMebibyte, kBytesMax);
    scope.ReadNumber("cache_bytes", &storage.cache_bytes, 0, kBytesMax);
    scope.ReadNumber("disk_reserve_bytes", &storage.disk_reserve_bytes, 0, kBytesMax);
    scope.ReadNumber("background_threads", &storage.background_threads, 1, 64);
    scope.ReadNumber("open_files_max", &storage.open_files_max, 32, 1000000);
  }

  void ReadSessions() {
    constexpr uint32_t kIoThreadsDefaultMax = 8;
    const ConfigScope scope = root_.Nested("sessions");
    SessionSettings& sessions = settings_.sessions;
    sessions.io_threads =
        std::clamp<uint32_t>(std::thread::hardware_concurrency(), 1, kIoThreadsDefaultMax);
    scope.ReadNumber("io_threads", &sessions.io_threads, 1, 256);
    scope.ReadNumber("sessions_max", &sessions.sessions_max, 1, 1000000);
    scope.ReadNumber("sessions_per_client_max", &sessions.sessions_per_client_max, 1, 1000000);
    scope.ReadNumber("memory_bytes_max", &sessions.memory_bytes_max, 4 * kMebibyte, kBytesMax);
    scope.ReadDuration("command_timeout", &sessions.command_timeout);
    scope.ReadDuration("data_timeout", &sessions.data_timeout);
    scope.ReadDuration("message_timeout", &sessions.message_timeout);
    scope.ReadDuration("session_timeout", &sessions.session_timeout);
    scope.ReadDuration("tls_handshake_timeout", &sessions.tls_handshake_timeout);
    scope.ReadNumber("errors_max", &sessions.errors_max, 1, 1000000);
    scope.ReadNumber("line_bytes_max", &sessions.line_bytes_max, 1000, 64 * kMebibyte);
    scope.ReadNumber("hops_max", &sessions.hops_max, 1, 10000);
  }

  void ReadAttempts() {
    const ConfigScope scope = root_.Nested("attempts");
    AttemptSettings& attempts = settings_.attempts;
    scope.ReadNumber("connections_max", &attempts.connections_max, 1, 1000000);
    scope.ReadNumber("memory_bytes_max", &attempts.memory_bytes_max, 4 * kMebibyte, kBytesMax);
    scope.ReadDuration("connect_timeout", &attempts.connect_timeout);
    scope.ReadDuration("greeting_timeout", &attempts.greeting_timeout);
    scope.ReadDuration("command_timeout", &attempts.command_timeout);
    scope.ReadDuration("data_timeout", &attempts.data_timeout);
    scope.ReadDuration("block_timeout", &attempts.block_timeout);
    scope.ReadDuration("final_dot_timeout", &attempts.final_dot_timeout);
    scope.ReadDuration("tls_handshake_timeout", &attempts.tls_handshake_timeout);
    scope.ReadDuration("idle_connection_timeout", &attempts.idle_connection_timeout,
                       {absl::ZeroDuration(), absl::Hours(1)});
    scope.ReadNumber("quarantine_after_crashes", &attempts.quarantine_after_crashes, 1, 100);
    for (int i = 0; i < scope.CountOf("source_addresses"); ++i) {
      const std::string text = scope.Text("source_addresses", i);
      std::string& source =
          text.find(':') == std::string::npos ? attempts.source_ipv4 : attempts.source_ipv6;
      if (!ParseIpAddress(text)) {
        scope.ProblemAt("source_addresses", i, format("`{}` is no IP address", text));
      } else if (!source.empty()) {
        scope.ProblemAt("source_addresses", i, "two source addresses of one family; keep one");
      } else {
        source = text;
      }
    }
  }

  void ReadTiming() {
    const ConfigScope scope = root_.Nested("timing");
    TimingSettings& timing = settings_.timing;
    scope.ReadDuration("tick", &timing.tick, {absl::Milliseconds(1), absl::Seconds(10)});
    scope.ReadDuration("heartbeat", &timing.heartbeat, {absl::Milliseconds(1), absl::Minutes(1)});
    scope.ReadDuration("election_min", &timing.election_min,
                       {absl::Milliseconds(2), absl::Minutes(10)});
    scope.ReadDuration("election_max", &timing.election_max,
                       {absl::Milliseconds(3), absl::Minutes(20)});
    scope.ReadDuration("commit_timeout", &timing.commit_timeout);
    scope.ReadDuration("drain_deadline", &timing.drain_deadline,
                       {absl::ZeroDuration(), absl::Hours(24)});
    if (timing.tick > timing.heartbeat) {
      scope.Problem("heartbeat", "heartbeat must be at least one tick");
    }
    if (timing.heartbeat * 2 > timing.election_min) {
      scope.Problem("election_min", "election_min must be at least twice the heartbeat");
    }
    if (timing.election_max < timing.election_min * 1.5) {
      scope.Problem("election_max", "election_max must be at least 1.5 times election_min");
    }
  }

  void ReadOverload() {
    const ConfigScope scope = root_.Nested("overload");
    OverloadSettings& overload = settings_.overload;
    const DurationBounds moments{absl::ZeroDuration(), absl::Hours(1)};
    scope.ReadDuration("event_loop_lag_max", &overload.event_loop_lag_max, moments);
    scope.ReadDuration("sync_latency_max", &overload.sync_latency_max, moments);
    scope.ReadNumber("cpu_wait_percent_max", &overload.cpu_wait_percent_max, 0, 100);
    scope.ReadNumber("memory_percent_max", &overload.memory_percent_max, 0, 100);
    scope.ReadDuration("due_age_max", &overload.due_age_max, moments);
    // A part of the load counts up to three times what can be borne.
    scope.ReadNumber("refuse_percent", &overload.refuse_percent, 100, 300);
    scope.ReadDuration("calm_for", &overload.calm_for);
    scope.ReadDuration("move_interval", &overload.move_interval);
    scope.ReadFlag("hand_over", &overload.hand_over);
    scope.ReadDuration("clock_difference_max", &overload.clock_difference_max);
  }

  void ReadCluster() {
    if (!root_.Has("cluster")) return;
    const ConfigScope scope = root_.Nested("cluster");
    ClusterSettings cluster;
    if (scope.Has("address")) {
      if (const auto address = ReadAddress(scope, "address", 7026)) cluster.address = *address;
    }
    const int peers = scope.CountOf("peers");
    if (peers == 0) {
      scope.Problem("peers", "a cluster needs peers; leave `cluster` out for a single node");
      return;
    }
    if (peers > kPeersMax) {
      scope.Problem("peers", format("a cluster has at most {} nodes: this one and {} peers, not {}",
                                    kPeersMax + 1, kPeersMax, peers));
      return;
    }
    scope.ReadFlag("join", &cluster.join);
    bool plain_text = false;
    scope.ReadFlag("plain_text_on_loopback", &plain_text);
    ReadClusterIdentity(scope, plain_text, &cluster);
    std::set<NodeId> seen = {settings_.node_id};
    for (int i = 0; i < peers; ++i) {
      const ConfigScope peer = scope.Nested("peers", i);
      uint64_t node_id = 0;
      if (!peer.Has("node_id")) peer.Problem("node_id", "node_id is required in Peer");
      peer.ReadNumber("node_id", &node_id, 1, UINT32_MAX);
      PeerSettings settings{NodeId(node_id), "", 0};
      if (node_id != 0 && !seen.insert(settings.node_id).second) {
        peer.Problem("node_id",
                     format("node_id {} is taken, by this node or another peer", node_id));
      }
      ReadPeerAddress(peer, &settings);
      if (plain_text && !raft::HostAndPort{settings.host, settings.port}.IsLoopback()) {
        peer.Problem("address", "without TLS a peer needs a loopback address, as 127.0.0.1:7026");
      }
      cluster.peers.push_back(std::move(settings));
    }
    settings_.cluster = std::move(cluster);
  }

  void ReadClusterIdentity(const ConfigScope& scope, bool plain_text, ClusterSettings* cluster) {
    scope.ReadText("cluster_id", &cluster->cluster_id);
    if (!plain_text) {
      cluster->tls = ReadMutualTls(scope);
      if (!cluster->cluster_id.empty()) {
        scope.Problem("cluster_id", "the certificate names the cluster; leave cluster_id out");
      }
      return;
    }
    if (scope.Has("tls")) {
      scope.Problem("tls", "tls and plain_text_on_loopback exclude each other; leave one out");
    }
    if (!raft::IsClusterId(cluster->cluster_id)) {
      scope.Problem("cluster_id",
                    "without TLS the cluster needs a name: 1 to 64 of A-Z a-z 0-9 - _ .");
    }
    if (!cluster->address.IsLoopback()) {
      scope.Problem("address",
                    "without TLS the address must be on loopback, as \"127.0.0.1:7026\"");
    }
  }

  static void ReadPeerAddress(const ConfigScope& peer, PeerSettings* settings) {
    const std::string text = peer.RequiredText("address");
    if (text.empty()) return;
    const std::optional<raft::HostAndPort> address = raft::ReadHostAndPort(text, 7026);
    if (!address || (!ParseIpAddress(address->host) && !smtp::DomainKey(address->host))) {
      peer.Problem("address", format("`{}` is no peer's address; write \"name:7026\"", text));
      return;
    }
    settings->host = address->host;
    settings->port = address->port;
    if (settings->port == 0) peer.Problem("address", "a peer's port must not be 0");
  }

  const ConfigScope& root_;
  const NodeReadOptions& options_;
  NodeSettings settings_;
  std::optional<int> reachable_listener_;  // The first that is not on loopback.
};

}  // namespace

bool NodeSettings::BeyondLoopback() const {
  return std::any_of(listeners.begin(), listeners.end(), [](const ListenerSettings& listener) {
    return !listener.address.IsLoopback();
  });
}

ConfigResult<NodeSettings> ReadNodeConfig(std::string_view text, const NodeReadOptions& options) {
  ConfigResult<NodeSettings> result;
  config::NodeConfig message;
  ParseInfoTree tree;
  if (!ParseConfigText(text, &message, &tree, &result.problems)) return result;
  const ConfigScope root(message, &tree, &result.problems);
  result.settings = NodeReader(root, options).Read();
  return result;
}

}  // namespace holdfast::node
