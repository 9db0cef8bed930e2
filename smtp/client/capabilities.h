// smtp/client/capabilities.h
// What a remote offered in its answer to EHLO, as far as we use it. Valid for that connection and
// that side of STARTTLS only.
// Threads: values and a pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "smtp/protocol/reply.h"

namespace holdfast::smtp {

struct Capabilities {
  bool esmtp = false;  // EHLO was understood.
  bool starttls = false;
  bool pipelining = false;
  bool eight_bit_mime = false;
  bool smtputf8 = false;
  bool dsn = false;
  bool size = false;
  // Nothing: no fixed limit (also "SIZE 0" and a bare SIZE).
  std::optional<uint64_t> size_bytes_max;
  // RFC 9422. Nothing: not said, or a value that makes no sense.
  std::optional<uint64_t> recipients_max;    // RCPTMAX
  std::optional<uint64_t> messages_max;      // MAILMAX
  std::vector<std::string> auth_mechanisms;  // Upper case.

  bool operator==(const Capabilities&) const = default;
};

// `reply` is a positive answer to EHLO. Keywords in any case; malformed values count as absent.
Capabilities ParseCapabilities(const ReceivedReply& reply);

}  // namespace holdfast::smtp
