#include "smtp/mime/trace_header.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::smtp {
namespace {

constexpr size_t kNameBytesMax = 255;
constexpr size_t kForBytesMax = 512;  // Keeps the line under 998 whatever the path.

bool IsNameText(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view(".-_:[]").find(c) != std::string_view::npos;
}

// A name as the client gave it: whatever no host name or literal holds becomes '?'.
std::string CleanName(std::string_view name) {
  std::string clean(name.substr(0, kNameBytesMax));
  std::replace_if(
      clean.begin(), clean.end(), [](char c) { return !IsNameText(c); }, '?');
  return clean.empty() ? "unknown" : clean;
}

// The recipient has passed the parser of paths, so that it holds no control byte and its brackets
// are inside quotes; still, nothing rests on that here.
bool FitsForClause(std::string_view mailbox) {
  return !mailbox.empty() && mailbox.size() <= kForBytesMax &&
         std::none_of(mailbox.begin(), mailbox.end(),
                      [](char c) { return (c >= 0 && c < 0x20) || c == 0x7F; });
}

}  // namespace

std::string ReceivedField(const TraceFacts& facts) {
  std::string field = format("Received: from {} (", CleanName(facts.client_name));
  if (!facts.reverse_name.empty()) field += CleanName(facts.reverse_name) + " ";
  field += facts.client_literal + ")\r\n";
  field += format("\tby {} with {}", CleanName(facts.host), facts.protocol);
  if (!facts.tls_cipher.empty()) field += format(" tls {}", CleanName(facts.tls_cipher));
  field += format("\r\n\tid {}", facts.queue_id);
  if (FitsForClause(facts.only_recipient)) field += format("\r\n\tfor <{}>", facts.only_recipient);
  field += format(";\r\n\t{}\r\n", Rfc5322Date(facts.received));
  return field;
}

std::string_view TransmissionType(const ProtocolFacts& facts) {
  constexpr std::string_view kPlain[] = {"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"};
  constexpr std::string_view kUtf8[] = {"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"};
  const int index = (facts.tls ? 1 : 0) + (facts.authenticated ? 2 : 0);
  if (facts.smtputf8) return kUtf8[index];
  if (!facts.esmtp && index == 0) return "SMTP";
  return kPlain[index];
}

std::string Rfc5322Date(absl::Time time) {
  // Names are ours, not the locale's.
  constexpr std::string_view kDays[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
  constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const absl::TimeZone utc = absl::UTCTimeZone();
  const absl::CivilSecond second = utc.At(time).cs;
  const int day = static_cast<int>(absl::GetWeekday(second));
  return format("{}, {:02} {} {:04} {:02}:{:02}:{:02} +0000", kDays[day], second.day(),
                kMonths[second.month() - 1], second.year(), second.hour(), second.minute(),
                second.second());
}

}  // namespace holdfast::smtp
