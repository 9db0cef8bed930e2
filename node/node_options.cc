#include "node/node_options.h"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"

namespace holdfast::node {
namespace {

smtp::IpAddress AddressOf(const SocketAddress& address) {
  const std::optional<smtp::IpAddress> parsed = smtp::IpAddress::Parse(address.ip);
  HOLDFAST_CHECK(parsed.has_value()) << address.ToString();
  return *parsed;
}

smtp::ListenTls TlsOf(ListenerTls tls) {
  switch (tls) {
    case ListenerTls::kNone:
      return smtp::ListenTls::kNone;
    case ListenerTls::kStartTls:
      return smtp::ListenTls::kStartTls;
    case ListenerTls::kImplicit:
      return smtp::ListenTls::kImplicit;
  }
  return smtp::ListenTls::kNone;
}

std::vector<std::string> OwnAddresses(const std::vector<ListenerSettings>& listeners) {
  std::vector<std::string> addresses;
  bool any = false;
  for (const ListenerSettings& listener : listeners) {
    any |= AddressOf(listener.address).IsUnspecified();
    addresses.push_back(listener.address.ip);
  }
  ifaddrs* list = nullptr;
  if (!any || getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    if (one->ifa_addr->sa_family == AF_INET) {
      std::array<uint8_t, 4> octets;
      std::memcpy(octets.data(), &reinterpret_cast<sockaddr_in*>(one->ifa_addr)->sin_addr, 4);
      addresses.push_back(smtp::IpAddress::V4(octets).ToString());
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      std::array<uint8_t, 16> octets;
      std::memcpy(octets.data(), &reinterpret_cast<sockaddr_in6*>(one->ifa_addr)->sin6_addr, 16);
      addresses.push_back(smtp::IpAddress::V6(octets).ToString());
    }
  }
  freeifaddrs(list);
  return addresses;
}

}  // namespace

smtp::ListenerOptions ListenerOptionsOf(const NodeSettings& settings) {
  smtp::ListenerOptions options;
  for (const ListenerSettings& listener : settings.listeners) {
    smtp::ListenPort port;
    port.endpoint = {AddressOf(listener.address), listener.address.port};
    port.roles = {listener.mx, listener.submission, listener.trusted};
    port.tls = TlsOf(listener.tls);
    options.ports.push_back(port);
  }
  const SessionSettings& sessions = settings.sessions;
  options.sessions_max = sessions.sessions_max;
  options.sessions_per_client_max = sessions.sessions_per_client_max;
  options.hostname = settings.hostname;
  options.limits.command_timeout = sessions.command_timeout;
  options.limits.data_block_timeout = sessions.data_timeout;
  options.limits.data_timeout = sessions.message_timeout;
  options.limits.session_timeout = sessions.session_timeout;
  options.limits.tls_timeout = sessions.tls_handshake_timeout;
  options.limits.errors_max = static_cast<int>(sessions.errors_max);
  options.limits.text_line_bytes_max = sessions.line_bytes_max;
  options.limits.received_fields_max = static_cast<int>(sessions.hops_max);
  return options;
}

AttemptRunnerOptions RunnerOptionsOf(const NodeSettings& settings) {
  AttemptRunnerOptions options;
  options.hostname = settings.hostname;
  options.attempts = settings.attempts;
  options.own_addresses = OwnAddresses(settings.listeners);
  return options;
}

raft::GroupHostOptions HostOptionsOf(const NodeSettings& settings) {
  const TimingSettings& timing = settings.timing;
  raft::GroupHostOptions options;
  options.tick = timing.tick;
  options.heartbeat_ticks = std::max<int>(1, static_cast<int>(timing.heartbeat / timing.tick));
  options.election_ticks = std::max<int>(2, static_cast<int>(timing.election_min / timing.tick));
  options.self = settings.node_id;
  options.commit_timeout = timing.commit_timeout;
  options.greetings = true;
  return options;
}

LoadWatch::Options LoadWatchOptionsOf(const NodeSettings& settings) {
  const OverloadSettings& overload = settings.overload;
  LoadWatch::Options options;
  options.self = settings.node_id;
  options.tick = settings.timing.tick;
  options.load.event_loop_lag_max = overload.event_loop_lag_max;
  options.load.sync_latency_max = overload.sync_latency_max;
  options.load.cpu_wait_max = overload.cpu_wait_percent_max / 100.0;
  options.load.memory_used_max = overload.memory_percent_max / 100.0;
  options.load.due_age_max = overload.due_age_max;
  options.load.calm_for = overload.calm_for;
  options.load.refuse_permille = overload.refuse_percent * kOverloadedPermille / 100;
  options.clock.difference_max = overload.clock_difference_max;
  return options;
}

LoadSheddingOptions SheddingOptionsOf(const NodeSettings& settings) {
  LoadSheddingOptions options;
  options.enabled = settings.overload.hand_over;
  options.move_interval = settings.overload.move_interval;
  return options;
}

}  // namespace holdfast::node
