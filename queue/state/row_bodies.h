// queue/state/row_bodies.h
// Which bodies a group's rows keep alive: those of messages, and those of chunks whose submission
// has not ended. A replica that pulls rows from another one learns so which bodies it needs.
// Threads: any; reads nothing but the rows.
#pragma once

#include <functional>

#include "base/status.h"
#include "queue/state/queue_types.h"
#include "queue/state/tables.h"

namespace holdfast::queue {

// In an order that the rows decide; each body once, for no two rows have the same. Reads page by
// page, and visits between pages, so that the visitor may take its time; rows that change meanwhile
// may be missed. False from the visitor ends it. kDataLoss, kUnimplemented: a row can't be
// understood.
absl::Status VisitRowBodies(const TablesReader& rows,
                            const std::function<bool(const BodyRef&)>& visit);

}  // namespace holdfast::queue
