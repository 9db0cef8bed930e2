// tests/queue/queue_script.h
// Runs a story about one queue group, written as text:
//
//   # Prose.
//   enqueue id=1 to=b@one.test,c@two.test
//   ----
//   OK
//   accepted m1 from=<a@sender.test> recipients=2 bytes=1000
//   ...
//
// Each stanza is a verb with arguments, `----`, and the exact output up to an empty line. Queue ids
// are written m1, m2, ...; times are seconds. Verbs: see queue_script.cc.
// Threads: one.
#pragma once

#include <string>

namespace holdfast::queue::testing {

// The script with the output that the queue gives now in place of what stood there.
std::string RunQueueScript(const std::string& text);

}  // namespace holdfast::queue::testing
