// base/status.h
// absl::Status in the house's words: constructors that format, and macros that pass errors on.
// What a code means here, everywhere:
//   kUnavailable         nothing happened, retry          kFailedPrecondition  not the leader
//   kAborted             definitely not applied           kDeadlineExceeded    outcome UNKNOWN
//   kResourceExhausted   a named bound was hit            kDataLoss            stop and page
//   kAlreadyExists       known already (a repeat)         kInvalidArgument     the input is wrong
// Threads: any.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace holdfast {

template <typename... Args>
absl::Status MakeStatus(absl::StatusCode code, fmt::format_string<Args...> text, Args&&... args) {
  return absl::Status(code, fmt::format(text, std::forward<Args>(args)...));
}

inline std::string_view Message(const absl::Status& status) { return FromAbsl(status.message()); }

// The same code, with `context` put before the message: once, when a status leaves its room.
inline absl::Status Annotate(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), fmt::format("{}: {}", context, Message(status)));
}

}  // namespace holdfast

#define HOLDFAST_RETURN_IF_ERROR(expression)                                  \
  do {                                                                        \
    if (absl::Status holdfast_status_ = (expression); !holdfast_status_.ok()) \
      return holdfast_status_;                                                \
  } while (false)

#define HOLDFAST_CONCAT_INNER(a, b) a##b
#define HOLDFAST_CONCAT(a, b) HOLDFAST_CONCAT_INNER(a, b)

// HOLDFAST_ASSIGN_OR_RETURN(auto value, MightFail());
#define HOLDFAST_ASSIGN_OR_RETURN(left, expression) \
  HOLDFAST_ASSIGN_OR_RETURN_IMPL(HOLDFAST_CONCAT(holdfast_or_, __LINE__), left, expression)
#define HOLDFAST_ASSIGN_OR_RETURN_IMPL(holder, left, expression) \
  auto holder = (expression);                                    \
  if (!holder.ok()) return std::move(holder).status();           \
  left = *std::move(holder)
