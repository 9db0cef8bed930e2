// raft/transport/peer_identity.h
// Who a peer is, and whether its hello may be believed. A node's certificate, signed by an
// authority of the cluster, names it in exactly one subject alternative name of type URI:
//
//   holdfast://<cluster_id>/node/<id>      holdfast://4f1c9a.../node/3
//
// The authority, the names of hosts and the subject say nothing about which node it is: a node of
// another cluster under the same authority, and one that claims another's id, are told apart here.
// Threads: any. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"

namespace holdfast::peer {
class Hello;
}

namespace holdfast::raft {

// Versions of the protocol (not of the formats) that this build speaks.
inline constexpr uint32_t kProtocolMin = 1;
inline constexpr uint32_t kProtocolMax = 1;
inline constexpr uint64_t kHostHelloBytesMax = uint64_t{64} << 10;

struct PeerIdentity {
  std::string cluster_id;
  NodeId node;

  bool operator==(const PeerIdentity&) const = default;
};

// 1 to 64 of A-Z a-z 0-9 - _ .
bool IsClusterId(std::string_view text);

std::string IdentityUri(const PeerIdentity& identity);
// kInvalidArgument: not such a URI.
absl::StatusOr<PeerIdentity> ParseIdentityUri(std::string_view uri);
// The identity among a certificate's URIs; those of other schemes are passed over.
// kPermissionDenied: none, or more than one.
absl::StatusOr<PeerIdentity> IdentityOfCertificate(const std::vector<std::string>& uris);

// Checks what `hello` says, got by `self`, from a peer whose certificate says `certified` (nothing:
// plain text). `expected` is the node that we called, if we called. Returns the peer.
// kPermissionDenied: of another cluster, with another's id, or not for us. kUnimplemented: no
// common version. kInvalidArgument: malformed.
absl::StatusOr<NodeId> CheckHello(const peer::Hello& hello, const PeerIdentity& self,
                                  const std::optional<PeerIdentity>& certified,
                                  std::optional<NodeId> expected);

}  // namespace holdfast::raft
