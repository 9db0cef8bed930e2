// tests/raft/apart.h
// Runs something in a process of its own, because a broken invariant ends the process and the
// others are still to be tested.
// Threads: only while there is one.
#pragma once

#include <functional>
#include <string>

namespace holdfast::raft_test {

// What `body` returned there; the end of what the process wrote to stderr, if it ended otherwise.
std::string RunApart(const std::function<std::string()>& body);

}  // namespace holdfast::raft_test
