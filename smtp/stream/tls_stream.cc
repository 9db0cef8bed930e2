#include "smtp/stream/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::smtp {
namespace {

auto NoThrow() { return asio::as_tuple(asio::use_awaitable); }

absl::Status TlsError(std::string_view what, const boost::system::error_code& error) {
  if (error == asio::ssl::error::stream_truncated) {
    return MakeStatus(absl::StatusCode::kAborted, "{}: cut without a TLS close", what);
  }
  if (error == asio::error::eof) {
    return MakeStatus(absl::StatusCode::kAborted, "{}: the peer closed the connection", what);
  }
  return MakeStatus(absl::StatusCode::kAborted, "{}: {}", what, error.message());
}

SSL* NewSsl(const TlsContext& context) {
  ERR_clear_error();
  SSL* ssl = SSL_new(context.native());
  HOLDFAST_CHECK(ssl != nullptr) << "out of memory for a TLS connection";
  return ssl;
}

}  // namespace

struct TlsLayer::Impl {
  Impl(asio::ip::tcp::socket& socket, std::shared_ptr<const TlsContext> used)
      : context(std::move(used)), stream(socket, NewSsl(*context)) {}

  SSL* ssl() { return stream.native_handle(); }

  std::shared_ptr<const TlsContext> context;
  asio::ssl::stream<asio::ip::tcp::socket&> stream;  // Owns the SSL.
};

TlsLayer::TlsLayer(asio::ip::tcp::socket& socket, std::shared_ptr<const TlsContext> context)
    : impl_(std::make_unique<Impl>(socket, std::move(context))) {}
TlsLayer::~TlsLayer() = default;

absl::Status TlsLayer::Prepare(const std::string& server_name) {
  SSL* ssl = impl_->ssl();
  if (server_name.empty()) {
    if (impl_->context->verifies()) {
      return absl::InvalidArgumentError("TLS: no name to verify the peer by");
    }
    return absl::OkStatus();
  }
  const std::optional<IpAddress> address = IpAddress::Parse(server_name);
  bool prepared = false;
  if (address) {  // RFC 6066 section 3: literal addresses are not permitted in SNI.
    prepared = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name.c_str()) == 1;
  } else {
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    prepared = SSL_set_tlsext_host_name(ssl, server_name.c_str()) == 1 &&
               SSL_set1_host(ssl, server_name.c_str()) == 1;
  }
  if (!prepared) {
    ERR_clear_error();
    return MakeStatus(absl::StatusCode::kInvalidArgument, "TLS: not a usable name: {}",
                      server_name);
  }
  facts_.server_name = server_name;
  return absl::OkStatus();
}

void TlsLayer::LearnFacts(bool is_server) {
  SSL* ssl = impl_->ssl();
  facts_.active = true;
  facts_.version = SSL_get_version(ssl);
  const char* cipher = SSL_get_cipher_name(ssl);
  facts_.cipher = cipher != nullptr ? cipher : "";
  if (is_server) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    facts_.server_name = name != nullptr ? name : "";
    return;
  }
  const long result = SSL_get_verify_result(ssl);
  const bool named = !facts_.server_name.empty();
  const bool has_certificate = SSL_get0_peer_certificate(ssl) != nullptr;
  facts_.verified = has_certificate && named && result == X509_V_OK;
  if (!has_certificate) {
    facts_.verify_error = "no certificate";
  } else if (result != X509_V_OK) {
    facts_.verify_error = X509_verify_cert_error_string(result);
  } else if (!named) {
    facts_.verify_error = "no name to verify by";
  }
}

asio::awaitable<absl::Status> TlsLayer::HandshakeServer() {
  auto [error] = co_await impl_->stream.async_handshake(asio::ssl::stream_base::server, NoThrow());
  if (error) co_return TlsError("TLS handshake", error);
  LearnFacts(/*is_server=*/true);
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> TlsLayer::HandshakeClient(std::string server_name) {
  absl::Status prepared = Prepare(server_name);
  if (!prepared.ok()) co_return prepared;
  auto [error] = co_await impl_->stream.async_handshake(asio::ssl::stream_base::client, NoThrow());
  if (error) {
    const long result = SSL_get_verify_result(impl_->ssl());
    if (impl_->context->verifies() && result != X509_V_OK) {
      co_return MakeStatus(absl::StatusCode::kAborted, "TLS handshake: certificate: {}",
                           X509_verify_cert_error_string(result));
    }
    co_return TlsError("TLS handshake", error);
  }
  LearnFacts(/*is_server=*/false);
  co_return absl::OkStatus();
}

asio::awaitable<absl::StatusOr<size_t>> TlsLayer::ReadSome(char* to, size_t size) {
  auto [error, count] = co_await impl_->stream.async_read_some(asio::buffer(to, size), NoThrow());
  if (count > 0) co_return count;
  co_return TlsError("read", error);
}

asio::awaitable<absl::Status> TlsLayer::WriteAll(std::string_view bytes) {
  auto [error, count] = co_await asio::async_write(
      impl_->stream, asio::buffer(bytes.data(), bytes.size()), NoThrow());
  (void)count;  // All of it, or an error.
  if (error) co_return TlsError("write", error);
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> TlsLayer::ShutdownSend() {
  // Sends our close_notify, then waits for the peer's; the stream's deadline bounds the wait.
  // Either way nothing is left to read afterwards.
  auto [error] = co_await impl_->stream.async_shutdown(NoThrow());
  if (error && error != asio::error::eof) co_return TlsError("shutdown", error);
  co_return absl::AbortedError("shutdown: the peer closed too");
}

std::optional<std::string> TlsLayer::ChannelBinding(std::string_view type) const {
  SSL* ssl = impl_->ssl();
  if (!facts_.active) return std::nullopt;
  if (type == "tls-exporter") {
    // RFC 9266 section 2; with TLS 1.2 only when the extended master secret is in use (4.2).
    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1) return std::nullopt;
    static constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
    std::string binding(32, '\0');
    if (SSL_export_keying_material(ssl, reinterpret_cast<unsigned char*>(binding.data()),
                                   binding.size(), kLabel.data(), kLabel.size(), nullptr, 0,
                                   1) != 1) {
      ERR_clear_error();
      return std::nullopt;
    }
    return binding;
  }
  if (type == "tls-server-end-point") {
    X509* certificate =
        SSL_is_server(ssl) ? SSL_get_certificate(ssl) : SSL_get0_peer_certificate(ssl);
    if (certificate == nullptr) return std::nullopt;
    // RFC 5929 4.1: the hash of the signature, but never a weaker one than SHA-256.
    int digest_nid = NID_undef;
    if (X509_get_signature_info(certificate, &digest_nid, nullptr, nullptr, nullptr) != 1) {
      ERR_clear_error();
      return std::nullopt;
    }
    const EVP_MD* digest = EVP_sha256();
    if (digest_nid == NID_sha384) digest = EVP_sha384();
    if (digest_nid == NID_sha512) digest = EVP_sha512();
    std::string binding(EVP_MAX_MD_SIZE, '\0');
    unsigned int size = 0;
    if (X509_digest(certificate, digest, reinterpret_cast<unsigned char*>(binding.data()), &size) !=
        1) {
      ERR_clear_error();
      return std::nullopt;
    }
    binding.resize(size);
    return binding;
  }
  return std::nullopt;
}

}  // namespace holdfast::smtp
