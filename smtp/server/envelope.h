// smtp/server/envelope.h
// What a session knows of a client and hands over with a message. Plain values, no behaviour.
// Threads: values; an Envelope that was handed over is shared and never changes again.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "smtp/protocol/address.h"
#include "smtp/protocol/data_framing.h"
#include "smtp/protocol/esmtp_params.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::smtp {

// What a listening port is for; any mixture. See proto/config.proto, Role.
struct ListenerRoles {
  bool mx = false;
  bool submission = false;
  bool trusted = false;  // Every client that reaches the port may relay.
};

struct SessionTls {
  bool active = false;
  std::string version;  // "TLSv1.3"
  std::string cipher;   // "TLS_AES_256_GCM_SHA384"
};

// The client as far as this session knows it now.
struct ClientFacts {
  IpAddress address;
  uint16_t port = 0;
  std::string reverse_name;  // Verified reverse DNS name; empty when nobody looked.
  ListenerRoles roles;
  std::string ehlo_name;  // As sent, Printable(); empty before EHLO or HELO.
  bool esmtp = false;     // The client said EHLO.
  SessionTls tls;
  std::string auth_user;  // Empty: not authenticated.
};

struct EnvelopeRecipient {
  std::string mailbox;  // As received, for DSNs; "Postmaster" where that was all.
  // Where it goes: the received mailbox, unless RcptDecision::redirect said otherwise. The local
  // part is bit-exact, `destination` the routing key of the domain.
  std::string local_part;
  std::string domain;
  std::string destination;
  std::optional<NotifySet> notify;   // Absent stays absent.
  std::optional<std::string> orcpt;  // As received.
};

// A transaction as it stands when content begins.
struct Envelope {
  ClientFacts client;
  bool trusted = false;  // MailDecision::trusted.
  std::string protocol;  // The `with` value of Received: "ESMTPS" and so on.
  absl::Time received;   // When the content began.

  std::string reverse_path;      // As received, without brackets; empty is the null sender.
  std::string reverse_path_key;  // Routing key of its domain; empty for the null sender.
  std::optional<DsnReturn> ret;
  std::optional<std::string> envid;
  std::optional<BodyType> body;
  bool smtputf8 = false;
  std::optional<uint64_t> declared_bytes;  // SIZE=, a promise nobody keeps.
  std::vector<EnvelopeRecipient> recipients;
};

// What was learnt while the content passed by.
struct FinalFacts {
  uint64_t bytes = 0;               // Given to Submission::Write() in all.
  uint64_t trace_header_bytes = 0;  // The first of them: our Received field.
  ContentFacts content;             // Of the content as received, without our field.
  bool needs_8bit = false;          // The content has bytes beyond ASCII, whatever BODY= said.
  bool utf8_headers = false;        // Its header section has.
  bool has_date = false;
  std::string message_id;  // With its angle brackets, Printable(); empty if there is none.
  int received_fields = 0;
};

}  // namespace holdfast::smtp
