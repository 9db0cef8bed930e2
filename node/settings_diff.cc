// Which settings a running node can't take over; see node.h.
#include <string>

#include "base/text.h"
#include "node/node.h"

namespace holdfast::node {
namespace {

std::string Text(const SocketAddress& address) { return address.ToString(); }

std::string Text(const std::vector<ListenerSettings>& listeners) {
  std::string text;
  for (const ListenerSettings& listener : listeners) {
    text += format("{} {}{}{} {};", listener.address.ToString(), listener.mx, listener.submission,
                   listener.trusted, static_cast<int>(listener.tls));
  }
  return text;
}

std::string Text(const ResolverSettings& resolver) {
  std::string text =
      format("{} {} {} {};", absl::FormatDuration(resolver.timeout), resolver.cache_bytes_max,
             resolver.questions_max, resolver.trust_anchor_file);
  for (const SocketAddress& forwarder : resolver.forwarders) text += forwarder.ToString() + " ";
  return text;
}

std::string Text(const StorageSettings& storage) {
  return format("{} {} {} {} {} {}", storage.body_memtable_bytes, storage.state_memtable_bytes,
                storage.cache_bytes, storage.disk_reserve_bytes, storage.background_threads,
                storage.open_files_max);
}

std::string Text(const SessionSettings& sessions) {
  std::string text = format("{} {} {} {} {} {} {} ", sessions.io_threads, sessions.sessions_max,
                            sessions.sessions_per_client_max, sessions.memory_bytes_max,
                            sessions.errors_max, sessions.line_bytes_max, sessions.hops_max);
  for (const absl::Duration duration :
       {sessions.command_timeout, sessions.data_timeout, sessions.message_timeout,
        sessions.session_timeout, sessions.tls_handshake_timeout}) {
    text += absl::FormatDuration(duration) + " ";
  }
  return text;
}

std::string Text(const AttemptSettings& attempts) {
  std::string text =
      format("{} {} {} {} {} ", attempts.connections_max, attempts.quarantine_after_crashes,
             attempts.memory_bytes_max, attempts.source_ipv4, attempts.source_ipv6);
  for (const absl::Duration duration :
       {attempts.connect_timeout, attempts.greeting_timeout, attempts.command_timeout,
        attempts.data_timeout, attempts.block_timeout, attempts.final_dot_timeout,
        attempts.tls_handshake_timeout, attempts.idle_connection_timeout}) {
    text += absl::FormatDuration(duration) + " ";
  }
  return text;
}

std::string Text(const TimingSettings& timing) {
  std::string text;
  for (const absl::Duration duration :
       {timing.tick, timing.heartbeat, timing.election_min, timing.election_max,
        timing.commit_timeout, timing.drain_deadline}) {
    text += absl::FormatDuration(duration) + " ";
  }
  return text;
}

std::string Text(const OverloadSettings& overload) {
  std::string text =
      format("{} {} {} {} ", overload.cpu_wait_percent_max, overload.memory_percent_max,
             overload.refuse_percent, overload.hand_over);
  for (const absl::Duration duration :
       {overload.event_loop_lag_max, overload.sync_latency_max, overload.due_age_max,
        overload.calm_for, overload.move_interval, overload.clock_difference_max}) {
    text += absl::FormatDuration(duration) + " ";
  }
  return text;
}

std::string Text(const AdminSettings& admin) {
  return format("{} {} {} {} {} {}", admin.socket, admin.tcp ? admin.tcp->address.ToString() : "",
                admin.message_bytes_max, admin.threads_max, admin.http_connections_max,
                absl::FormatDuration(admin.http_timeout));
}

std::string Text(const std::optional<TlsFileSettings>& tls) {
  return tls ? format("{} {}", tls->certificate_file, tls->key_file) : "";
}

std::string Text(const std::optional<SocketAddress>& address) {
  return address ? Text(*address) : "off";
}

}  // namespace

std::string SettingsThatNeedRestart(const NodeSettings& running, const NodeSettings& wanted) {
  std::string names;
  const auto compare = [&names](const char* name, const std::string& a, const std::string& b) {
    if (a == b) return;
    if (!names.empty()) names += ", ";
    names += name;
  };
  compare("data_dir", running.data_dir, wanted.data_dir);
  compare("node_id", format("{}", running.node_id.value()), format("{}", wanted.node_id.value()));
  compare("hostname", running.hostname, wanted.hostname);
  compare("listeners", Text(running.listeners), Text(wanted.listeners));
  compare("tls", Text(running.tls), Text(wanted.tls));
  compare("http_address", Text(running.http_address), Text(wanted.http_address));
  compare("admin", Text(running.admin), Text(wanted.admin));
  compare("user", running.user, wanted.user);
  compare("log.format", format("{}", static_cast<int>(running.log_format)),
          format("{}", static_cast<int>(wanted.log_format)));
  compare("resolver", Text(running.resolver), Text(wanted.resolver));
  compare("storage", Text(running.storage), Text(wanted.storage));
  compare("sessions", Text(running.sessions), Text(wanted.sessions));
  compare("attempts", Text(running.attempts), Text(wanted.attempts));
  compare("timing", Text(running.timing), Text(wanted.timing));
  compare("overload", Text(running.overload), Text(wanted.overload));
  return names;
}

}  // namespace holdfast::node
