#include "smtp/stream/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstring>
#include <utility>

#include "base/status.h"

namespace holdfast::smtp {
namespace {

// The first error in OpenSSL's queue, which is the deepest and the clearest; empties the queue.
std::string TakeOpenSslError() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : format("OpenSSL error {:x}", code);
}

absl::Status FileError(std::string_view what, const std::string& file) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "{} {}: {}", what, file,
                    TakeOpenSslError());
}

// A key behind a passphrase cannot be loaded by a daemon; without this OpenSSL would ask the
// terminal and block.
int RefusePassphrase(char*, int, int, void*) { return -1; }

SSL_CTX* NewContext(const SSL_METHOD* method) {
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(method);
  if (context == nullptr) return nullptr;
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);  // Idle connections cost 34 KiB less.
  SSL_CTX_set_default_passwd_cb(context, RefusePassphrase);
  return context;
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::LoadServer(
    const TlsServerOptions& options) {
  SSL_CTX* native = NewContext(TLS_server_method());
  if (native == nullptr) return absl::InternalError(TakeOpenSslError());
  std::shared_ptr<TlsContext> context(new TlsContext(native, /*is_server=*/true));
  static constexpr unsigned char kSessionContext[] = "holdfast-smtp";
  SSL_CTX_set_session_id_context(native, kSessionContext, sizeof kSessionContext - 1);
  if (SSL_CTX_use_certificate_chain_file(native, options.certificate_file.c_str()) != 1) {
    return FileError("TLS certificate", options.certificate_file);
  }
  // Checks as well that the key fits the certificate loaded before.
  if (SSL_CTX_use_PrivateKey_file(native, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return FileError("TLS key", options.key_file);
  }
  if (SSL_CTX_check_private_key(native) != 1) return FileError("TLS key", options.key_file);
  return context;
}

absl::StatusOr<std::shared_ptr<const TlsContext>> TlsContext::LoadClient(
    const TlsClientOptions& options) {
  SSL_CTX* native = NewContext(TLS_client_method());
  if (native == nullptr) return absl::InternalError(TakeOpenSslError());
  std::shared_ptr<TlsContext> context(new TlsContext(native, /*is_server=*/false));
  context->verifies_ = options.verify;
  const bool roots_loaded = options.roots_file.empty()
                                ? SSL_CTX_set_default_verify_paths(native) == 1
                                : SSL_CTX_load_verify_file(native, options.roots_file.c_str()) == 1;
  if (!roots_loaded) {
    return FileError("TLS roots", options.roots_file.empty() ? "(system)" : options.roots_file);
  }
  if (options.verify) {
    SSL_CTX_set_verify(native, SSL_VERIFY_PEER, nullptr);
  } else {
    SSL_CTX_set_verify(native, SSL_VERIFY_NONE, nullptr);
    // Whoever would go on in clear gains from a weak key: the alternative protects nothing at all
    // (RFC 7435 section 3).
    SSL_CTX_set_security_level(native, 1);
  }
  return context;
}

absl::Status ReloadableTls::Reload() {
  absl::StatusOr<std::shared_ptr<const TlsContext>> loaded = TlsContext::LoadServer(options_);
  if (!loaded.ok()) return loaded.status();
  MutexLock lock(mutex_);
  current_ = *std::move(loaded);
  return absl::OkStatus();
}

std::shared_ptr<const TlsContext> ReloadableTls::Current() const {
  MutexLock lock(mutex_);
  return current_;
}

}  // namespace holdfast::smtp
