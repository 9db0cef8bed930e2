// queue/view_token.h
// Page tokens: the key to go on at, in hex so that it survives a command line. Internal to queue.
// Threads: any; pure.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "queue/state/keys.h"

namespace holdfast::queue {

std::string TokenFor(std::string_view next_key);
// The first key behind `last_key`.
std::string TokenAfter(std::string_view last_key);
// Moves the beginning of `range` to the token's key; an empty token changes nothing.
// kInvalidArgument when the token is not hex, or its key lies outside the range.
absl::Status StartAtToken(std::string_view token, KeyRange* range);

}  // namespace holdfast::queue
