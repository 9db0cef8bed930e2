// ops/bench/notice.h
// What the sink reads out of content: the id of our own message, and what a DSN reports (RFC 3464,
// RFC 6533). It means the same as find_id() and read_notices() of ops/lib/account.py.
//
// Threads: pure functions. Limits: the caller's, who bounds the content.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::bench {

// The field that carries the id, in the load's messages and in the headers that notices return.
inline constexpr std::string_view kIdField = "X-Holdfast-Id";

struct FoundId {
  std::string id;
  size_t offset = 0;  // Where its line begins.
};

// The first line `X-Holdfast-Id: ID`, wherever it stands.
std::optional<FoundId> FindId(std::string_view content);

struct NoticeRecipient {
  std::string recipient;
  std::string action;  // Lower case.
  std::string status;

  bool operator==(const NoticeRecipient&) const = default;
};

struct NoticeContent {
  std::string message_id;                   // With its brackets; empty if there is none.
  std::vector<NoticeRecipient> recipients;  // Empty: the content is no DSN.
};

NoticeContent ReadNotice(std::string_view content);

}  // namespace holdfast::bench
