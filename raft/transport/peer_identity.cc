#include "raft/transport/peer_identity.h"

#include <algorithm>
#include <charconv>

#include "proto/peer.pb.h"
#include "raft/transport/peer_codec.h"

namespace holdfast::raft {
namespace {

using absl::StatusCode;

constexpr std::string_view kScheme = "holdfast://";
constexpr std::string_view kNodePath = "/node/";
constexpr size_t kClusterIdBytesMax = 64;

bool IsClusterIdChar(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.';
}

absl::Status CheckCertified(const PeerIdentity& said, const PeerIdentity& certified) {
  if (said == certified) return absl::OkStatus();
  return MakeStatus(StatusCode::kPermissionDenied,
                    "says that it is node {} of cluster {}, but its certificate says node {} of "
                    "cluster {}",
                    said.node.value(), said.cluster_id, certified.node.value(),
                    certified.cluster_id);
}

// Only what is known to be printable is put into later messages.
absl::Status CheckForm(const peer::Hello& hello) {
  if (hello.format() != kPeerFormat) {
    return MakeStatus(StatusCode::kUnimplemented, "hello of format {}, not {}", hello.format(),
                      kPeerFormat);
  }
  if (!IsClusterId(hello.cluster_id())) {
    return absl::InvalidArgumentError("hello with a malformed cluster id");
  }
  if (hello.node_id() == 0) return absl::InvalidArgumentError("hello of node 0");
  if (hello.host().size() > kHostHelloBytesMax) {
    return absl::InvalidArgumentError("hello of the host is too long");
  }
  return absl::OkStatus();
}

}  // namespace

bool IsClusterId(std::string_view text) {
  return !text.empty() && text.size() <= kClusterIdBytesMax &&
         std::all_of(text.begin(), text.end(), IsClusterIdChar);
}

std::string IdentityUri(const PeerIdentity& identity) {
  return fmt::format("{}{}{}{}", kScheme, identity.cluster_id, kNodePath, identity.node.value());
}

absl::StatusOr<PeerIdentity> ParseIdentityUri(std::string_view uri) {
  const absl::Status malformed =
      absl::InvalidArgumentError("not holdfast://<cluster_id>/node/<id>");
  if (!uri.starts_with(kScheme)) return malformed;
  uri.remove_prefix(kScheme.size());
  const size_t path = uri.find(kNodePath);
  if (path == std::string_view::npos || !IsClusterId(uri.substr(0, path))) return malformed;
  const std::string_view digits = uri.substr(path + kNodePath.size());
  uint64_t node = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), node);
  // One spelling for each id: no leading zero.
  if (error != std::errc() || end != digits.data() + digits.size() || digits[0] == '0') {
    return malformed;
  }
  return PeerIdentity{std::string(uri.substr(0, path)), NodeId(node)};
}

absl::StatusOr<PeerIdentity> IdentityOfCertificate(const std::vector<std::string>& uris) {
  std::optional<PeerIdentity> found;
  for (const std::string& uri : uris) {
    if (!uri.starts_with(kScheme)) continue;
    absl::StatusOr<PeerIdentity> identity = ParseIdentityUri(uri);
    if (!identity.ok()) {
      return absl::PermissionDeniedError("the certificate has a malformed holdfast:// URI");
    }
    if (found) return absl::PermissionDeniedError("the certificate names more than one node");
    found = *std::move(identity);
  }
  if (found) return *std::move(found);
  return absl::PermissionDeniedError(
      "the certificate has no URI holdfast://<cluster_id>/node/<id>");
}

absl::StatusOr<NodeId> CheckHello(const peer::Hello& hello, const PeerIdentity& self,
                                  const std::optional<PeerIdentity>& certified,
                                  std::optional<NodeId> expected) {
  HOLDFAST_RETURN_IF_ERROR(CheckForm(hello));
  const PeerIdentity said{hello.cluster_id(), NodeId(hello.node_id())};
  if (certified) HOLDFAST_RETURN_IF_ERROR(CheckCertified(said, *certified));
  if (said.cluster_id != self.cluster_id) {
    return MakeStatus(StatusCode::kPermissionDenied, "is of cluster {}, not of cluster {}",
                      said.cluster_id, self.cluster_id);
  }
  if (said.node == self.node) {
    return MakeStatus(StatusCode::kPermissionDenied, "has the id of node {} itself",
                      self.node.value());
  }
  if (expected && said.node != *expected) {
    return MakeStatus(StatusCode::kPermissionDenied, "is node {}, but node {} was called",
                      said.node.value(), expected->value());
  }
  if (NodeId(hello.to_node_id()) != self.node) {
    return MakeStatus(StatusCode::kPermissionDenied, "wants node {}, but this is node {}",
                      hello.to_node_id(), self.node.value());
  }
  if (hello.protocol_min() > kProtocolMax || hello.protocol_max() < kProtocolMin) {
    return MakeStatus(StatusCode::kUnimplemented,
                      "speaks protocol versions {} to {}, this build {} to {}",
                      hello.protocol_min(), hello.protocol_max(), kProtocolMin, kProtocolMax);
  }
  return said.node;
}

}  // namespace holdfast::raft
