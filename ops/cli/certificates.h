// ops/cli/certificates.h
// Makes the certificates by which nodes of a cluster know each other, and reads any. An authority
// remembers its cluster in a URI, a node's certificate says which node it is as peer_identity.h
// wants it:
//
//   authority  O=<cluster id>, CN="Holdfast authority <8 digits>", URI holdfast://<id>/authority
//   node       O=<cluster id>, CN="node <n>", URI holdfast://<id>/node/<n>, its host names and
//              addresses; for both ends of TLS (serverAuth, clientAuth), and nothing else
//
// Two authorities of one cluster differ in name and key identifier, so that both can stand in one
// file while the certificates change over. Keys are EC P-256, signatures ECDSA with SHA-256.
// Threads: functions from any. No file is touched here.
// Errors:  kInvalidArgument: the argument is wrong, and the message says how. kInternal: OpenSSL
//          failed, and its own reason is in the message.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "proto/certificate.pb.h"

namespace holdfast::cli {

inline constexpr size_t kHostsMax = 64;
inline constexpr size_t kCertificatesMax = 100;  // In one file.

struct Validity {
  absl::Time from;
  absl::Time until;
};

// PEM of both, the key as PKCS #8 without a passphrase.
struct KeyedCertificate {
  std::string certificate_pem;
  std::string key_pem;
};

struct NodeNames {
  uint64_t node_id = 0;  // Not 0.
  // DNS names, IPv4 and IPv6 addresses without brackets; at least one.
  std::vector<std::string> hosts;
};

// 32 hexadecimal digits from the kernel's randomness.
absl::StatusOr<std::string> NewClusterId();

absl::StatusOr<KeyedCertificate> NewAuthority(const std::string& cluster_id,
                                              const Validity& validity);

// Signed by `authority`, for its cluster. Of several certificates in its PEM the one that the key
// fits is taken. kFailedPrecondition: the authority ends before `validity` does; the message says
// when.
absl::StatusOr<KeyedCertificate> NewNodeCertificate(const KeyedCertificate& authority,
                                                    const NodeNames& names,
                                                    const Validity& validity);

// All certificates in `pem`, at least one, as they are at `now`; `file` and `key_file` are left
// empty. What else a file may hold (keys, text) is passed over.
absl::StatusOr<admin::CertificateList> ReadCertificates(std::string_view pem, absl::Time now);

}  // namespace holdfast::cli
