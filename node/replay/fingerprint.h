// node/replay/fingerprint.h
// Fingerprint is what makes two submissions the same one, offered twice: SHA-256 of reverse-path,
// recipients in any order, client, and content as the client sent it, without our Received field.
//
//   Fingerprint fingerprint(envelope);
//   fingerprint.Add(piece); ...
//   sha256 = fingerprint.Finish();
//
// Threads: thread-compatible. No I/O. Errors: a library without SHA-256 ends the process.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "smtp/server/envelope.h"

namespace holdfast::node {

class Fingerprint {
 public:
  // The client is who it said it is (AUTH), or else its address without the port.
  explicit Fingerprint(const smtp::Envelope& envelope);
  ~Fingerprint();
  Fingerprint(const Fingerprint&) = delete;
  Fingerprint& operator=(const Fingerprint&) = delete;

  void Add(std::string_view content);
  // 32 bytes. Once, last.
  std::string Finish();

 private:
  struct Digest;
  const std::unique_ptr<Digest> digest_;
};

}  // namespace holdfast::node
