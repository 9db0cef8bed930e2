// tests/transport/test_certificates.h
// An authority and certificates of nodes, as PEM files in the test's directory.
// Threads: compatible. Owns: its files, removed at the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "raft/transport/grpc_transport.h"

namespace holdfast::raft {

class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();
  TestAuthority(const TestAuthority&) = delete;
  TestAuthority& operator=(const TestAuthority&) = delete;

  // A certificate signed by this authority, with `uri` as its only other name.
  PeerTlsFiles Certify(const std::string& uri);

 private:
  std::string NewFile();

  std::vector<std::string> files_;
  std::string authority_file_;
  void* key_;          // EVP_PKEY
  void* certificate_;  // X509
};

}  // namespace holdfast::raft
