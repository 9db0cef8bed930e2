// queue/state/invariants.h
// What must hold between the rows of a queue group after every command. Walks all rows, so it is
// for tests, the simulation and `backup` checks, not for the running queue.
// Threads: any; pure.
#pragma once

#include <string>
#include <vector>

#include "queue/state/queue_types.h"
#include "queue/state/tables.h"

namespace holdfast::queue {

// What is wrong, one line each, at most `max`; empty when all holds:
//  - every row and key parses, and is of a known family;
//  - every unit has its message, and exactly one list row, with its own due time, expiry and list;
//  - every message has an open unit, and open and ended units together have each of its recipients
//    exactly once; a unit is held when its message is;
//  - destination counters, ages, wake rows and totals equal a recount;
//  - no body belongs to two owners; no remembered id is a message or has chunks; rings are whole;
//  - every unconfirmed fingerprint has its place in the ring, and the other way round.
std::vector<std::string> CheckInvariants(const TablesReader& reader, size_t max = 20);

}  // namespace holdfast::queue
