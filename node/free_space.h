// node/free_space.h
// What a file system has room for, and what must be free before it is worth a try to open the
// store. Threads: any. FreeSpaceOf() asks the disk; the rest is pure.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "base/status.h"

namespace holdfast::node {

struct FreeSpace {
  uint64_t bytes = 0;
  // Files that may still be made; the greatest number where nobody counts them.
  uint64_t files = std::numeric_limits<uint64_t>::max();
};

// Of the file system that `path` is on. kUnavailable: it can't be asked.
absl::StatusOr<FreeSpace> FreeSpaceOf(const std::string& path);

struct NeededSpace {
  FreeSpace least;
  bool either = false;  // Enough of one is worth a try: nobody knows which was missing.

  bool MetBy(const FreeSpace& free) const {
    const bool bytes = free.bytes >= least.bytes;
    const bool files = free.files >= least.files;
    return either ? bytes || files : bytes && files;
  }
};

// To open a store at all: a new log, new tables, the notes about them.
NeededSpace SpaceToOpen();
// After it was full with so much.
NeededSpace MoreSpaceThan(const FreeSpace& too_little);

}  // namespace holdfast::node
