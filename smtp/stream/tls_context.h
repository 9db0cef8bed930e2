// smtp/stream/tls_context.h
// TlsContext is one loaded TLS configuration: a server's certificate and key, or a client's way of
// checking others. TLS 1.2 and newer, no renegotiation, no compression. It never changes; a reload
// makes a new one, and sessions keep the one they began with (they hold a reference).
// ReloadableTls holds the current server context and swaps it when files changed.
// Threads: TlsContext is immutable; ReloadableTls is thread-safe.
// Errors:  kInvalidArgument, with the file name and OpenSSL's reason, for a certificate or key that
//          is missing, unreadable, or not a pair.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <utility>

#include "base/mutex.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX; its headers stay out of ours.

namespace holdfast::smtp {

// What is known about the TLS of a stream, for Received fields, logs and policies.
struct TlsFacts {
  bool active = false;
  std::string version;      // "TLSv1.3"
  std::string cipher;       // "TLS_AES_256_GCM_SHA384"
  std::string server_name;  // SNI, as sent (client) or received (server); may be empty
  // The peer's certificate chains to a trusted root and names the host we asked for. Always false
  // on the server side, which asks for no certificate.
  bool verified = false;
  std::string verify_error;  // OpenSSL's reason when the peer has a certificate and !verified.
};

struct TlsServerOptions {
  std::string certificate_file;  // PEM: the certificate, then the intermediates.
  std::string key_file;          // PEM, unencrypted; may be the same file.
};

struct TlsClientOptions {
  // False: opportunistic TLS (RFC 7435); any certificate will do, facts still say whether it was
  // a good one. True: a handshake with an unverified peer fails.
  bool verify = false;
  // PEM bundle of roots; empty means the system's.
  std::string roots_file;
};

class TlsContext {
 public:
  static absl::StatusOr<std::shared_ptr<const TlsContext>> LoadServer(
      const TlsServerOptions& options);
  static absl::StatusOr<std::shared_ptr<const TlsContext>> LoadClient(
      const TlsClientOptions& options);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  bool is_server() const { return is_server_; }
  bool verifies() const { return verifies_; }
  // For the stream. SSL_new() takes a reference of its own.
  ssl_ctx_st* native() const { return context_; }

 private:
  TlsContext(ssl_ctx_st* context, bool is_server) : context_(context), is_server_(is_server) {}

  ssl_ctx_st* const context_;
  const bool is_server_;
  bool verifies_ = false;
};

class ReloadableTls {
 public:
  // Call Reload() once before the first Current().
  explicit ReloadableTls(TlsServerOptions options) : options_(std::move(options)) {}

  // Loads the files again. On failure the former context stays in use.
  absl::Status Reload();
  // Null before the first successful Reload().
  std::shared_ptr<const TlsContext> Current() const;

 private:
  const TlsServerOptions options_;
  mutable Mutex mutex_;
  std::shared_ptr<const TlsContext> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::smtp
