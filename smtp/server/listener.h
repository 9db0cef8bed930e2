// smtp/server/listener.h
// Listener binds the SMTP ports, accepts, and owns the sessions until they end.
// Promises: a connection over a limit gets 421 and a close, never silence. After Stop() no new
//           connection is accepted; open transactions may finish until the deadline.
// Threads:  Bind(), Start() and Stop() from the owner's thread; sessions are spread over the
//           executors in turn and never migrate.
// Lifetime: stopped (Stop() reported) before it is destroyed, with its io contexts still alive or
//           their threads already joined.
// Limits:   sessions_max, sessions_per_client_max; turned_away_max connections being told 421.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "smtp/server/envelope.h"
#include "smtp/server/session.h"
#include "smtp/server/session_limits.h"
#include "smtp/stream/asio.h"
#include "smtp/stream/ip_address.h"
#include "smtp/stream/tls_context.h"

namespace holdfast::smtp {

enum class ListenTls { kNone, kStartTls, kImplicit };

struct ListenPort {
  Endpoint endpoint;  // Port 0: the kernel chooses; see bound().
  ListenerRoles roles;
  ListenTls tls = ListenTls::kStartTls;  // As far as there is a certificate.
};

struct ListenerOptions {
  std::vector<ListenPort> ports;
  size_t sessions_max = 1000;
  // By IPv4 address or IPv6 /64.
  size_t sessions_per_client_max = 50;
  size_t turned_away_max = 100;
  int backlog = 1024;
  std::string hostname;
  SessionLimits limits;
  // Called for each new session with a copy of `limits`, on any of the executors: for what policy
  // may change while the listener runs. May be empty.
  std::function<void(SessionLimits&)> adjust;
};

class Listener {
 public:
  // `executors`: the io contexts, at least one; the first accepts. `tls` may be null, else it
  // outlives the listener as `services` do.
  Listener(std::vector<asio::any_io_executor> executors, const SessionServices& services,
           const ReloadableTls* tls, ListenerOptions options);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Binds and listens on all ports or none. kAlreadyExists: "127.0.0.1:25: address already in
  // use"; kPermissionDenied: a low port without the right; kInvalidArgument: not our address, or
  // implicit TLS without a certificate.
  absl::Status Bind();
  // The real endpoints, in the order of options.ports.
  std::vector<Endpoint> bound() const;
  // Begins to accept. After Bind().
  void Start();

  // Stops accepting at once and asks every session to stop; those that are left after `deadline`
  // are cut. `done` runs once, on one of the executors, when the last session has ended. Call once.
  void Stop(absl::Duration deadline, std::function<void()> done);

  // While paused, a new connection gets 421 and a close, and sessions end with 421 before their
  // next transaction: those that were open when the pause began end, whatever follows. Thread-safe.
  void SetPaused(bool paused);

  // New connections get 421 with this reason and a close, while those that are open go on; empty:
  // they are welcome again. Thread-safe.
  void SetTurnedAway(std::string why);

  size_t sessions() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdfast::smtp
