#include "smtp/mime/trace_header.h"

#include <gtest/gtest.h>

namespace holdfast::smtp {
namespace {

TraceFacts Facts() {
  TraceFacts facts;
  facts.client_name = "client.test";
  facts.client_literal = "[192.0.2.1]";
  facts.host = "relay.test";
  facts.protocol = "ESMTP";
  facts.queue_id = "0123456789ABCDEF";
  facts.received = absl::FromUnixSeconds(1767323045);
  return facts;
}

TEST(TraceHeaderTest, NamesEverythingOnce) {
  TraceFacts facts = Facts();
  facts.only_recipient = "b@backup.test";
  EXPECT_EQ(ReceivedField(facts),
            "Received: from client.test ([192.0.2.1])\r\n"
            "\tby relay.test with ESMTP\r\n"
            "\tid 0123456789ABCDEF\r\n"
            "\tfor <b@backup.test>;\r\n"
            "\tFri, 02 Jan 2026 03:04:05 +0000\r\n");
}

TEST(TraceHeaderTest, TlsAndReverseNameAreShown) {
  TraceFacts facts = Facts();
  facts.tls_cipher = "TLS_AES_256_GCM_SHA384";
  facts.protocol = "ESMTPS";
  facts.reverse_name = "host.client.test";
  EXPECT_EQ(ReceivedField(facts),
            "Received: from client.test (host.client.test [192.0.2.1])\r\n"
            "\tby relay.test with ESMTPS tls TLS_AES_256_GCM_SHA384\r\n"
            "\tid 0123456789ABCDEF;\r\n"
            "\tFri, 02 Jan 2026 03:04:05 +0000\r\n");
}

TEST(TraceHeaderTest, ClientsCannotBreakOut) {
  TraceFacts facts = Facts();
  facts.client_name = "evil) (x;\r\nBcc: \x01\xC3\xBC\"";
  facts.reverse_name = "a\nb";
  facts.only_recipient = "a\r\nX: y@b";
  EXPECT_EQ(ReceivedField(facts),
            "Received: from evil???x???Bcc:????? (a?b [192.0.2.1])\r\n"
            "\tby relay.test with ESMTP\r\n"
            "\tid 0123456789ABCDEF;\r\n"
            "\tFri, 02 Jan 2026 03:04:05 +0000\r\n");
  facts.client_name = "";
  EXPECT_EQ(ReceivedField(facts).substr(0, 29), "Received: from unknown (a?b [");
}

TEST(TraceHeaderTest, TransmissionTypes) {  // RFC 3848, RFC 6531 4.3
  EXPECT_EQ(TransmissionType({}), "SMTP");
  EXPECT_EQ(TransmissionType({.esmtp = true}), "ESMTP");
  EXPECT_EQ(TransmissionType({.esmtp = true, .tls = true}), "ESMTPS");
  EXPECT_EQ(TransmissionType({.esmtp = true, .authenticated = true}), "ESMTPA");
  EXPECT_EQ(TransmissionType({.esmtp = true, .tls = true, .authenticated = true}), "ESMTPSA");
  EXPECT_EQ(TransmissionType({.esmtp = true, .smtputf8 = true}), "UTF8SMTP");
  EXPECT_EQ(TransmissionType({.esmtp = true, .tls = true, .smtputf8 = true}), "UTF8SMTPS");
  EXPECT_EQ(TransmissionType({.esmtp = true, .tls = true, .authenticated = true, .smtputf8 = true}),
            "UTF8SMTPSA");
  EXPECT_EQ(TransmissionType({.esmtp = true, .authenticated = true, .smtputf8 = true}),
            "UTF8SMTPA");
}

TEST(TraceHeaderTest, DatesAreThoseOfRfc5322) {
  EXPECT_EQ(Rfc5322Date(absl::UnixEpoch()), "Thu, 01 Jan 1970 00:00:00 +0000");
  EXPECT_EQ(Rfc5322Date(absl::FromUnixSeconds(951782399)), "Mon, 28 Feb 2000 23:59:59 +0000");
  EXPECT_EQ(Rfc5322Date(absl::FromUnixSeconds(951782400)), "Tue, 29 Feb 2000 00:00:00 +0000");
  EXPECT_EQ(Rfc5322Date(absl::FromUnixSeconds(1765108799)), "Sun, 07 Dec 2025 11:59:59 +0000");
}

}  // namespace
}  // namespace holdfast::smtp
