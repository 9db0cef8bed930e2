// ops/bench/report.h
// What holdfast-bench prints: counts as text for people and as JSON for programs.
// Threads: pure functions.
#pragma once

#include <absl/time/time.h>

#include <string>
#include <string_view>

#include "ops/bench/account.h"
#include "ops/bench/load.h"
#include "ops/bench/sink.h"

namespace holdfast::bench {

// With its quotes. What is not UTF-8 must have been mended before (records have).
std::string JsonString(std::string_view text);

std::string LoadText(const Load& load);
std::string LoadJson(const Load& load);
// One line without its end, for a person who watches. `accepted_before` was accepted a second ago.
std::string LoadProgress(const Load& load, absl::Duration since_begin, uint64_t accepted_before);

std::string SinkText(const SinkCounts& counts);
std::string SinkJson(const SinkCounts& counts);

// The last line is Account::Line(), which scripts read.
std::string AccountText(const Account& account);
std::string AccountJson(const Account& account);

}  // namespace holdfast::bench
