// What a node says when it pulls a snapshot, and what it is answered. The first byte chooses: a
// request, or a stream of records cut at places that the second byte decides. What decodes encodes
// to something that decodes the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "raft/host/snapshot_codec.h"

namespace holdfast::raft {
namespace {

constexpr SnapshotLimits kLimits{.record_bytes_max = 4096};

void TryRequest(std::string_view bytes) {
  const auto request = DecodeSnapshotRequest(bytes, kLimits);
  if (!request.ok()) return;
  if (const auto* bodies = std::get_if<BodiesRequest>(&*request)) {
    HOLDFAST_CHECK(!bodies->keys.empty() && bodies->keys.size() <= kLimits.keys_max);
    for (const BodyKey& key : bodies->keys) HOLDFAST_CHECK(key.group == bodies->group);
  }
  const std::string once = EncodeSnapshotRequest(*request);
  const auto again = DecodeSnapshotRequest(once, kLimits);
  HOLDFAST_CHECK(again.ok()) << again.status();
  HOLDFAST_CHECK(EncodeSnapshotRequest(*again) == once);
}

// The records of `bytes` up to the first that is none, encoded again.
std::string Join(std::string_view bytes, size_t piece, size_t* records) {
  RecordJoiner joiner(kLimits);
  RecordCutter cutter;
  *records = 0;
  const auto result = [&] { return cutter.Take(cutter.waiting_bytes()); };
  for (size_t at = 0; at < bytes.size(); at += piece) {
    if (!joiner.Feed(bytes.substr(at, piece)).ok()) return result();
    while (true) {
      auto record = joiner.Next();
      if (!record.ok()) return result();
      if (!record->has_value()) break;
      cutter.Add(**record);
      ++*records;
    }
  }
  return result();
}

void TryRecords(std::string_view bytes, size_t piece) {
  size_t first = 0;
  size_t second = 0;
  const std::string once = Join(bytes, std::max<size_t>(piece, 1), &first);
  // Any cuts give the same; and a record may grow by being encoded again, but not change.
  HOLDFAST_CHECK(Join(bytes, std::max<size_t>(bytes.size(), 1), &second) == once);
  HOLDFAST_CHECK(first == second);
}

}  // namespace
}  // namespace holdfast::raft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (size < 2) return 0;
  if (bytes[0] == 'q') {
    holdfast::raft::TryRequest(bytes.substr(1));
  } else {
    holdfast::raft::TryRecords(bytes.substr(2), static_cast<unsigned char>(bytes[1]));
  }
  return 0;
}
