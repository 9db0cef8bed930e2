// smtp/server/session_limits.h
// Every bound that a session or listener keeps, with its default. RFC 5321 4.5.3 gives minimums.
// Threads: plain values.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "smtp/protocol/address.h"

namespace holdfast::smtp {

struct SessionLimits {
  uint64_t message_bytes_max = 50 * 1024 * 1024;  // Offered as SIZE; 552 above. As received.
  size_t recipients_max = 1000;                   // 452 4.5.3 above; earlier ones stay valid.
  // Of the recipients as they are kept: addresses, destinations, ORCPT. As recipients_max, for an
  // envelope must fit into one command of the log (1 MiB), and long addresses get there sooner.
  size_t envelope_bytes_max = 768 * 1024;
  // With CRLF. RFC 4954 4 asks for 12,288 for AUTH, and it is above all other needs.
  size_t command_line_bytes_max = 12 * 1024;
  uint64_t text_line_bytes_max = 1024 * 1024;  // Lines of content. Over 998 is passed on unchanged.
  uint64_t header_bytes_max = 1024 * 1024;     // Of the header section; 552 5.3.4 above.
  int received_fields_max = 100;               // More is a loop: 554 5.4.6 (RFC 5321 6.3).
  AddressLimits address;

  // Errors of protocol (unknown, malformed, out of order) before 421; a good message forgives them.
  int errors_max = 20;
  // Refused recipients of a client that isn't trusted, before 421: it is guessing addresses.
  int refused_recipients_max = 100;

  // A message up to this is handed over whole; a longer one in pieces.
  size_t gather_bytes_max = 1024 * 1024;
  size_t chunk_bytes = 512 * 1024;
  // Replies waiting for the input to run dry are written out above this.
  size_t output_bytes_max = 32 * 1024;

  absl::Duration command_timeout = absl::Minutes(5);  // RFC 5321 4.5.3.2.7
  absl::Duration data_block_timeout = absl::Minutes(3);
  absl::Duration data_timeout = absl::Hours(1);     // One message's content, all of it.
  absl::Duration session_timeout = absl::Hours(4);  // Then 421 between two transactions.
  absl::Duration tls_timeout = absl::Seconds(30);
  absl::Duration write_timeout = absl::Minutes(3);  // For a client that doesn't read.
  absl::Duration linger = absl::Seconds(2);  // For the last reply to arrive before the close.
};

// What one listening port tells its sessions.
struct SessionOptions {
  std::string hostname;          // In greeting, EHLO and Received. A domain or an address literal.
  bool starttls_offered = true;  // If there is a certificate.
  bool implicit_tls = false;     // TLS from the first byte (port 465).
  SessionLimits limits;
};

}  // namespace holdfast::smtp
