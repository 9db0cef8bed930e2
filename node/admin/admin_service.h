// node/admin/admin_service.h
// AdminService listens for the command line: gRPC over the Unix socket admin.sock (mode 0600) and,
// when configured, over TCP with client certificates. Beside holdfast.admin.Admin it answers
// grpc.health.v1 and server reflection.
// It checks what can be checked without knowing the queue, names the caller, bounds the time, and
// hands the rest to AdminBackend.
//
// Threads:  Start() and Stop() from one thread. Calls run on at most settings.threads_max threads.
// Lifetime: `backend` outlives it.
// Limits:   settings.message_bytes_max a message; a call without a deadline gets
//           kAdminCallTimeoutDefault, and none gets more than kAdminCallTimeoutMax.
// Errors:   Start() says what is wrong with which address.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>

#include "node/admin/admin_backend.h"
#include "node/config/settings.h"

namespace holdfast::node {

inline constexpr absl::Duration kAdminCallTimeoutDefault = absl::Seconds(30);
inline constexpr absl::Duration kAdminCallTimeoutMax = absl::Minutes(5);

class AdminService {
 public:
  // Binds and begins to answer. Start it behind the lock on the data directory, for a socket left
  // there by a node that died is replaced, and as the user that will run, for the socket is open to
  // that user alone.
  static absl::StatusOr<std::unique_ptr<AdminService>> Start(const AdminSettings& settings,
                                                             AdminBackend& backend);
  ~AdminService();  // Stop().

  // What grpc.health.v1 answers: SERVING while the node accepts mail.
  void SetServing(bool serving);
  // The TCP port in use (settings may have said 0); 0 without TCP.
  uint16_t tcp_port() const;
  // Takes no new calls, lets running ones finish for a second, and cuts the rest. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit AdminService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::node
