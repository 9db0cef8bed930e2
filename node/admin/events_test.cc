#include "node/admin/events.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

std::string Line(const MailEvent& event, LogFormat log_format = LogFormat::kLogfmt) {
  const std::vector<LogField> fields = MailEventFields(event);
  LogOptions options;
  options.format = log_format;
  options.node = "1";
  return FormatLogLine(options, "2026-01-02T03:04:05.678Z", LogLevel::kInfo,
                       MailEventName(event.kind), fields.data(), fields.size());
}

MailEvent Everything() {
  MailEvent event;
  event.kind = MailEventKind::kDelivered;
  event.group = GroupId(3);
  event.queue_id = "01J9ABCDEFGHJKMN";
  event.message_id = "<1@a.example>";
  event.client = "192.0.2.1:4711";
  event.from = "a@a.example";
  event.to = "b@b.example";
  event.bytes = 1234;
  event.destination = "b.example";
  event.mx = "mx1.b.example [192.0.2.2]:25";
  event.tls = "TLSv1.3 TLS_AES_256_GCM_SHA384";
  event.status = "2.0.0";
  event.reply = "250 2.0.0 \"Ok\"";
  event.attempt = 2;
  event.delay = absl::Milliseconds(812);
  return event;
}

// These lines are an interface: change them only by adding fields.
TEST(MailEventTest, HasTheFrozenFieldsInTheirOrder) {
  EXPECT_EQ(Line(Everything()),
            "ts=2026-01-02T03:04:05.678Z level=info event=delivered node=1 group=3 "
            "queue_id=01J9ABCDEFGHJKMN message_id=<1@a.example> client=192.0.2.1:4711 "
            "from=a@a.example to=b@b.example bytes=1234 destination=b.example "
            "mx=\"mx1.b.example [192.0.2.2]:25\" tls=\"TLSv1.3 TLS_AES_256_GCM_SHA384\" "
            "status=2.0.0 reply=\"250 2.0.0 \\\"Ok\\\"\" attempt=2 delay_ms=812");
  EXPECT_EQ(Line(Everything(), LogFormat::kJson),
            "{\"ts\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\",\"event\":\"delivered\","
            "\"node\":\"1\",\"group\":3,\"queue_id\":\"01J9ABCDEFGHJKMN\","
            "\"message_id\":\"<1@a.example>\",\"client\":\"192.0.2.1:4711\","
            "\"from\":\"a@a.example\",\"to\":\"b@b.example\",\"bytes\":1234,"
            "\"destination\":\"b.example\",\"mx\":\"mx1.b.example [192.0.2.2]:25\","
            "\"tls\":\"TLSv1.3 TLS_AES_256_GCM_SHA384\",\"status\":\"2.0.0\","
            "\"reply\":\"250 2.0.0 \\\"Ok\\\"\",\"attempt\":2,\"delay_ms\":812}");
}

TEST(MailEventTest, SaysWhoEndedIt) {
  MailEvent event;
  event.kind = MailEventKind::kRemoved;
  event.reply = "spam";
  event.actor = "unix:0";
  EXPECT_EQ(Line(event),
            "ts=2026-01-02T03:04:05.678Z level=info event=removed node=1 reply=spam actor=unix:0");
}

TEST(MailEventTest, HasTheFrozenNames) {
  const std::pair<MailEventKind, const char*> names[] = {
      {MailEventKind::kAccepted, "accepted"}, {MailEventKind::kRejected, "rejected"},
      {MailEventKind::kAttempt, "attempt"},   {MailEventKind::kDelivered, "delivered"},
      {MailEventKind::kDeferred, "deferred"}, {MailEventKind::kBounced, "bounced"},
      {MailEventKind::kExpired, "expired"},   {MailEventKind::kHeld, "held"},
      {MailEventKind::kRemoved, "removed"},
  };
  for (const auto& [kind, name] : names) EXPECT_EQ(MailEventName(kind), name);
}

TEST(MailEventTest, LeavesOutWhatDoesNotApplyButNamesTheNullSender) {
  MailEvent event;
  event.kind = MailEventKind::kRejected;
  event.from = "";
  event.status = "5.7.1";
  EXPECT_EQ(Line(event),
            "ts=2026-01-02T03:04:05.678Z level=info event=rejected node=1 from=\"\" status=5.7.1");
}

TEST(MailEventTest, NoClientCanForgeALineOrMakeAnEndlessOne) {
  MailEvent event;
  event.reply = "250 ok\r\nevent=delivered";
  EXPECT_EQ(Line(event).find('\n'), std::string::npos);
  event.reply = std::string(kEventFieldBytesMax - 4, 'x') + "\xc3\xa4\xc3\xa4\xc3\xa4";
  const auto fields = MailEventFields(event);
  ASSERT_EQ(fields.size(), 1u);
  EXPECT_LE(fields[0].text().size(), kEventFieldBytesMax);
  EXPECT_EQ(fields[0].text(), std::string(kEventFieldBytesMax - 4, 'x') + "...");
}

TEST(MailEventTest, ADelayIsNeverNegative) {
  MailEvent event;
  event.delay = -absl::Seconds(5);
  EXPECT_EQ(MailEventFields(event)[0].text(), "0");
}

}  // namespace
}  // namespace holdfast::node
