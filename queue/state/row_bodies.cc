#include "queue/state/row_bodies.h"

#include <string>
#include <vector>

#include "proto/queue_rows.pb.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"

namespace holdfast::queue {
namespace {

constexpr size_t kPageRows = 256;

absl::Status AddBodies(KeyFamily family, std::string_view value, std::vector<BodyRef>& bodies) {
  if (family == KeyFamily::kMessage) {
    rows::MessageRow row;
    HOLDFAST_RETURN_IF_ERROR(DecodeRow(value, &row));
    for (const rows::BodyRefRow& body : row.bodies()) bodies.push_back(FromRow(body));
    return absl::OkStatus();
  }
  rows::ChunkRow row;
  HOLDFAST_RETURN_IF_ERROR(DecodeRow(value, &row));
  if (row.has_body()) bodies.push_back(FromRow(row.body()));
  return absl::OkStatus();
}

// False: the visitor has enough.
absl::StatusOr<bool> VisitFamily(KeyFamily family, const TablesReader& rows,
                                 const std::function<bool(const BodyRef&)>& visit) {
  const KeyRange range = PrefixRange(FamilyPrefix(family));
  std::string from = range.from;
  while (true) {
    absl::Status bad;
    std::vector<BodyRef> bodies;
    const ScanEnd end =
        rows.Scan(from, range.to, kPageRows, [&](std::string_view key, std::string_view value) {
          bad = AddBodies(family, value, bodies);
          from.assign(key);
          return bad.ok();
        });
    HOLDFAST_RETURN_IF_ERROR(bad);
    HOLDFAST_RETURN_IF_ERROR(rows.status());
    for (const BodyRef& body : bodies) {
      if (!visit(body)) return false;
    }
    if (end.complete) return true;
    from.push_back('\0');  // The first key behind the last one seen.
  }
}

}  // namespace

absl::Status VisitRowBodies(const TablesReader& rows,
                            const std::function<bool(const BodyRef&)>& visit) {
  for (const KeyFamily family : {KeyFamily::kMessage, KeyFamily::kChunk}) {
    HOLDFAST_ASSIGN_OR_RETURN(const bool more, VisitFamily(family, rows, visit));
    if (!more) break;
  }
  return absl::OkStatus();
}

}  // namespace holdfast::queue
