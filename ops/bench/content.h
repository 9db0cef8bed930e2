// ops/bench/content.h
// What the load generator sends: a short header with the id in front, and lines of text to the
// wanted size. Bodies are pieces of one shared block, so that a 25 MB message costs a list of
// pointers and its last piece.
//
// Threads: thread-compatible. Limits: one block of kBlockBytes, and one last piece for each message
// under way.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"

namespace holdfast::bench {

struct Content {
  std::vector<std::shared_ptr<const std::string>> pieces;
  uint64_t bytes = 0;
  std::string digest;  // CRC-32C of all of it, eight hexadecimal digits.
};

// The digest of `bytes` that come after what `crc` is the CRC-32C of.
std::string DigestText(uint32_t crc);

class ContentMaker {
 public:
  static constexpr size_t kBlockBytes = 64 * 1024;

  explicit ContentMaker(Random random);

  // At least the header (about 300 bytes) and one line, whatever `bytes` says; else exactly that.
  Content Make(const std::string& id, const std::string& sender, const std::string& recipient,
               uint64_t bytes, absl::Time now) const;

 private:
  std::shared_ptr<const std::string> block_;  // Whole lines.
};

}  // namespace holdfast::bench
