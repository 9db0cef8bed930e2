// ops/bench/record.h
// What the load generator offered and what the sink got, as lines of text: one line for each
// recipient, fields separated by tabs, so that `cut`, `grep` and a script read them too.
//
//   offer   ID RECIPIENT AT ANSWERED_AT TARGET TRY END DIGEST ANSWER
//   copy    ID RECIPIENT AT CONNECTION END DIGEST
//   notice  ID RECIPIENT AT CONNECTION ACTION STATUS NOTICE_MESSAGE_ID
//
// Every offer has an id of its own, also a repeated one, so that our own repeat is never mistaken
// for one of the relay's. Times are microseconds since 1970. `-` is an empty field. Lines that
// begin with '#' say what the file is.
//
// Threads: values and pure functions.
// Limits:  fields are cut at kFieldBytesMax when they are written.
#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace holdfast::bench {

inline constexpr size_t kFieldBytesMax = 1024;
inline constexpr std::string_view kRecordTitle = "# holdfast-bench record 1\n";

// What became of an offer, for one recipient.
enum class OfferEnd {
  kAccepted,    // 250 to the dot: the relay has promised.
  kTemporary,   // 4xx, or the connection broke before the dot: offered again under another id.
  kPermanent,   // 5xx.
  kUnknown,     // The connection broke, or nothing came, after the dot. Not offered again.
  kNotOffered,  // No target took a connection.
};

struct Offer {
  std::string id;
  std::string recipient;
  int64_t at_us = 0;
  int64_t answered_us = 0;
  std::string target;
  int attempt = 1;  // TRY
  OfferEnd end = OfferEnd::kAccepted;
  std::string digest;  // Of the content as sent; empty: not compared.
  std::string answer;  // "250 2.0.0 Ok: queued as ..."

  bool operator==(const Offer&) const = default;
};

// What the sink did with a copy whose content it had read.
enum class CopyEnd {
  kAccepted,  // It answered 250, or was about to: written before the answer.
  kSilent,    // It vanished without an answer; the relay must come again.
};

struct Copy {
  std::string id;
  std::string recipient;
  int64_t at_us = 0;
  uint64_t connection = 0;
  CopyEnd end = CopyEnd::kAccepted;
  std::string digest;  // Of the content from our first field on, so without trace fields above it.

  bool operator==(const Copy&) const = default;
};

// One recipient that a DSN reports.
struct Notice {
  std::string id;  // Of the message that came back.
  std::string recipient;
  int64_t at_us = 0;
  uint64_t connection = 0;
  std::string action;  // "failed", "delayed", ...
  std::string status;
  std::string message_id;  // Of the notice itself.

  bool operator==(const Notice&) const = default;
};

using Record = std::variant<Offer, Copy, Notice>;

// With the line end.
std::string FormatRecord(const Record& record);

// One line without its end. kInvalidArgument says which field is wrong.
absl::StatusOr<Record> ParseRecord(std::string_view line);

std::string_view ToString(OfferEnd end);

}  // namespace holdfast::bench
