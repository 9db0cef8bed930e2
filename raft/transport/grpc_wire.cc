#include "raft/transport/grpc_wire.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <set>
#include <vector>

#include "raft/transport/peer_codec.h"

namespace holdfast::raft {
namespace {

using absl::StatusCode;

template <typename... Args>
absl::Status Invalid(fmt::format_string<Args...> text, Args&&... args) {
  return MakeStatus(StatusCode::kInvalidArgument, text, std::forward<Args>(args)...);
}

// The URIs among the names of the first certificate in `file`.
absl::StatusOr<std::vector<std::string>> UrisOfFile(const std::string& file) {
  std::unique_ptr<BIO, decltype(&BIO_free)> in(BIO_new_file(file.c_str(), "r"), &BIO_free);
  if (in == nullptr) return Invalid("can't read the certificate {}", file);
  std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr), &X509_free);
  if (certificate == nullptr) return Invalid("no certificate in {}", file);
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr));
  std::vector<std::string> uris;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                      ASN1_STRING_length(uri));
  }
  GENERAL_NAMES_free(names);
  return uris;
}

}  // namespace

absl::StatusOr<PeerIdentity> IdentityOfCertificateFile(const std::string& file) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::vector<std::string> uris, UrisOfFile(file));
  absl::StatusOr<PeerIdentity> identity = IdentityOfCertificate(uris);
  if (!identity.ok()) return Annotate(identity.status(), file);
  return identity;
}

namespace {

// A wrong file must be found here and not as a handshake that fails on the other side. What is in
// key and authority gRPC checks itself.
absl::Status CheckTlsFiles(const GrpcTransportOptions& options) {
  for (const std::string* file : {&options.tls.key_file, &options.tls.authority_file}) {
    std::unique_ptr<BIO, decltype(&BIO_free)> in(BIO_new_file(file->c_str(), "r"), &BIO_free);
    if (in == nullptr) return Invalid("can't read {}", *file);
  }
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<std::string> uris,
                            UrisOfFile(options.tls.certificate_file));
  absl::StatusOr<PeerIdentity> named = IdentityOfCertificate(uris);
  const std::string wanted = IdentityUri({options.cluster_id, options.self});
  if (!named.ok() || IdentityUri(*named) != wanted) {
    return Invalid(
        "{} is not the certificate of {}: {}", options.tls.certificate_file, wanted,
        named.ok() ? IdentityUri(*named) : std::string(holdfast::Message(named.status())));
  }
  return absl::OkStatus();
}

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(duration), 1, 1 << 30));
}

}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // The codes mean the same by number.
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()),
                      std::string(holdfast::Message(status)));
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<StatusCode>(status.error_code()), status.error_message());
}

absl::Status CheckPeers(const GrpcTransportOptions& options,
                        const std::vector<PeerAddress>& peers) {
  std::set<NodeId> seen{options.self};
  for (const PeerAddress& peer : peers) {
    if (peer.node == kNoNode || !seen.insert(peer.node).second) {
      return Invalid("peer {} is 0, this node, or named twice", peer.node.value());
    }
    const std::optional<HostAndPort> address = ReadHostAndPort(peer.address);
    if (!address || address->port == 0) {
      return Invalid("address of peer {} is not host:port: {}", peer.node.value(), peer.address);
    }
    if (options.plain_text_on_loopback && !address->IsLoopback()) {
      return Invalid("plain text to peer {} at {}: allowed on loopback addresses only",
                     peer.node.value(), peer.address);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOptions(const GrpcTransportOptions& options) {
  if (options.self == kNoNode) return Invalid("this node has no id");
  if (!IsClusterId(options.cluster_id)) return Invalid("malformed cluster id");
  const std::optional<HostAndPort> listen = ReadHostAndPort(options.listen);
  if (!listen) return Invalid("not host:port: {}", options.listen);
  const PeerTlsFiles& tls = options.tls;
  const bool any = !(tls.certificate_file + tls.key_file + tls.authority_file).empty();
  if (options.plain_text_on_loopback && any) return Invalid("both TLS files and plain text");
  if (options.plain_text_on_loopback && !listen->IsLoopback()) {
    return Invalid("plain text on {}: allowed on loopback addresses only", options.listen);
  }
  // Frames are counted in ints by gRPC.
  if (options.message_bytes_max + options.frame_bytes_max > uint64_t{1} << 30) {
    return Invalid("frames of more than 1 GiB");
  }
  if (options.call_bytes_max > uint64_t{1} << 30) return Invalid("calls of more than 1 GiB");
  if (options.call_bytes_in_flight_max < options.call_bytes_max) {
    return Invalid("call_bytes_in_flight_max is less than call_bytes_max");
  }
  return CheckPeers(options, options.peers);
}

int ReceiveBytesMax(const GrpcTransportOptions& options) {
  constexpr uint64_t kFramingBytes = uint64_t{1} << 20;
  const uint64_t frame = options.frame_bytes_max + options.message_bytes_max;
  return static_cast<int>(std::max(frame, options.call_bytes_max) + kFramingBytes);
}

absl::StatusOr<GrpcCredentials> GrpcCredentials::Make(const GrpcTransportOptions& options) {
  GrpcCredentials made;
  if (options.plain_text_on_loopback) {
    made.client_ = grpc::InsecureChannelCredentials();
    made.server_ = grpc::InsecureServerCredentials();
    return made;
  }
  HOLDFAST_RETURN_IF_ERROR(CheckTlsFiles(options));
  namespace tls = grpc::experimental;
  const auto seconds = std::clamp<int64_t>(absl::ToInt64Seconds(options.tls_refresh_interval), 1,
                                           int64_t{24} * 3600);
  const auto files = std::make_shared<tls::FileWatcherCertificateProvider>(
      options.tls.key_file, options.tls.certificate_file, options.tls.authority_file,
      static_cast<unsigned>(seconds));
  tls::TlsChannelCredentialsOptions client;
  client.set_certificate_provider(files);
  client.watch_root_certs();
  client.watch_identity_key_cert_pairs();
  client.set_verify_server_certs(true);
  // Names of hosts mean nothing here: the node's URI does, and is checked with its hello.
  client.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
  client.set_check_call_host(false);
  made.client_ = tls::TlsCredentials(client);
  tls::TlsServerCredentialsOptions server(files);
  server.watch_root_certs();
  server.watch_identity_key_cert_pairs();
  server.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  made.server_ = tls::TlsServerCredentials(server);
  return made;
}

std::shared_ptr<grpc::Channel> GrpcCredentials::Connect(const GrpcTransportOptions& options,
                                                        const std::string& address) const {
  grpc::ChannelArguments arguments;
  // Without this, channels with equal arguments share one connection, and its flow control.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_interval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // The proxy of the environment is for the web, not for the cluster.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // No retries, the transparent ones included: a call that may have been done must not be repeated.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Of channels that outlive their connection.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(options.connect_timeout));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, Milliseconds(options.backoff_min));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Milliseconds(options.backoff_max));
  arguments.SetMaxReceiveMessageSize(ReceiveBytesMax(options));
  arguments.SetMaxSendMessageSize(ReceiveBytesMax(options));
  return grpc::CreateCustomChannel(address, client_, arguments);
}

peer::Hello MakeHello(const GrpcTransportOptions& options, NodeId to, peer::StreamKind kind,
                      std::string host) {
  peer::Hello hello;
  hello.set_format(kPeerFormat);
  hello.set_protocol_min(kProtocolMin);
  hello.set_protocol_max(kProtocolMax);
  hello.set_cluster_id(options.cluster_id);
  hello.set_node_id(options.self.value());
  hello.set_to_node_id(to.value());
  hello.set_kind(kind);
  hello.set_host(std::move(host));
  return hello;
}

absl::StatusOr<std::optional<PeerIdentity>> CertifiedIdentity(const grpc::AuthContext& auth,
                                                              bool plain_text) {
  if (plain_text) return std::optional<PeerIdentity>();
  if (!auth.IsPeerAuthenticated()) return absl::PermissionDeniedError("no certificate");
  std::vector<std::string> uris;
  for (const grpc::string_ref& uri : auth.FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME)) {
    uris.emplace_back(uri.data(), uri.size());
  }
  HOLDFAST_ASSIGN_OR_RETURN(PeerIdentity identity, IdentityOfCertificate(uris));
  return std::optional<PeerIdentity>(std::move(identity));
}

absl::StatusOr<NodeId> CheckHelloOf(const peer::Hello& hello, const grpc::AuthContext& auth,
                                    const GrpcTransportOptions& options,
                                    std::optional<NodeId> expected) {
  HOLDFAST_ASSIGN_OR_RETURN(std::optional<PeerIdentity> certified,
                            CertifiedIdentity(auth, options.plain_text_on_loopback));
  return CheckHello(hello, {options.cluster_id, options.self}, certified, expected);
}

}  // namespace holdfast::raft
