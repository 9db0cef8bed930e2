#include "smtp/dns/dns_records.h"

#include <gtest/gtest.h>

#include <string>

#include "smtp/dns/next_hop.h"
#include "smtp/stream/ip_address.h"

namespace holdfast::smtp {
namespace {

using std::string_literals::operator""s;

TEST(DnsRecordsTest, ReadsNames) {
  EXPECT_EQ(ReadName("\1a\7EXAMPLE\0"s), "a.example");
  EXPECT_EQ(ReadName("\0"s), "");
  EXPECT_EQ(ReadName(""s), std::nullopt);
  EXPECT_EQ(ReadName("\1a"s), std::nullopt);       // No end.
  EXPECT_EQ(ReadName("\5ab\0"s), std::nullopt);    // Label beyond the data.
  EXPECT_EQ(ReadName("\1a\0x"s), std::nullopt);    // Data beyond the end.
  EXPECT_EQ(ReadName("\xc0\x0c"s), std::nullopt);  // Compression has no place here.
  EXPECT_EQ(ReadName("\3a b\0"s), std::nullopt);   // Blank, line end, and a dot in a label: none
  EXPECT_EQ(ReadName("\3a\nb\0"s), std::nullopt);  // can be told apart from a forged name later.
  EXPECT_EQ(ReadName("\3a.b\0"s), std::nullopt);
  std::string endless;
  for (int i = 0; i < 130; ++i) endless += "\1a";
  EXPECT_EQ(ReadName(endless + '\0'), std::nullopt);
}

TEST(DnsRecordsTest, ReadsMx) {
  EXPECT_EQ(ReadMx("\1\2\1a\0"s), (MxRecord{258, "a"}));
  EXPECT_EQ(ReadMx("\0\0\0"s), (MxRecord{0, ""}));  // Null MX.
  EXPECT_EQ(ReadMx("\0\0"s), std::nullopt);
}

TEST(DnsRecordsTest, ReadsAddresses) {
  EXPECT_EQ(ReadA("\xc0\0\2\1"s), IpAddress::Parse("192.0.2.1"));
  EXPECT_EQ(ReadA("\xc0\0\2"s), std::nullopt);
  EXPECT_EQ(ReadAaaa("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"s), IpAddress::Parse("2001:db8::1"));
  EXPECT_EQ(ReadAaaa("\xc0\0\2\1"s), std::nullopt);
}

TEST(DnsRecordsTest, ReadsTxtAndTlsa) {
  EXPECT_EQ(ReadTxt("\2ab\0\1c"s, {}), "abc");
  EXPECT_EQ(ReadTxt("\5ab"s, {}), std::nullopt);
  EXPECT_EQ(ReadTxt("\2ab"s, {.text_bytes_max = 2}), std::nullopt);
  EXPECT_EQ(ReadTlsa("\3\1\1xyz"s), (TlsaRecord{3, 1, 1, "xyz"}));
  EXPECT_EQ(ReadTlsa("\3\1\1"s), std::nullopt);
}

TEST(DnsRecordsTest, MakesReverseNames) {
  EXPECT_EQ(ReverseName(*IpAddress::Parse("192.0.2.1")), "1.2.0.192.in-addr.arpa");
  EXPECT_EQ(ReverseName(*IpAddress::Parse("2001:db8::1")),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

TEST(RouteTest, ReadsEveryForm) {
  using Kind = Route::Kind;
  const std::optional<Route> mx = ParseRoute("mx", "d.example", 25);
  ASSERT_TRUE(mx.has_value());
  EXPECT_EQ(*mx, (Route{Kind::kMx, "d.example", {}, 25, false}));
  EXPECT_EQ(ParseRoute("Relay.Example", "d.example", 587),
            (Route{Kind::kMx, "relay.example", {}, 587, true}));
  EXPECT_EQ(ParseRoute("[mail.example]", "d.example", 25),
            (Route{Kind::kHost, "mail.example", {}, 25, true}));
  EXPECT_EQ(ParseRoute("[mail.example]:2525", "d.example", 25),
            (Route{Kind::kHost, "mail.example", {}, 2525, true}));
  EXPECT_EQ(ParseRoute("[192.0.2.1]:2525", "d.example", 25),
            (Route{Kind::kAddress, "", *IpAddress::Parse("192.0.2.1"), 2525, true}));
  EXPECT_EQ(ParseRoute("[2001:db8::1]", "d.example", 25),
            (Route{Kind::kAddress, "", *IpAddress::Parse("2001:db8::1"), 25, true}));
  EXPECT_EQ(ParseRoute("mx", "[192.0.2.1]", 25),
            (Route{Kind::kAddress, "", *IpAddress::Parse("192.0.2.1"), 25, false}));
}

TEST(RouteTest, RefusesWhatMeansNothing) {
  for (const char* text : {"", "[", "[]", "[a", "[a]x", "[a]:", "[a]:0", "[a]:65536", "[a]:1x",
                           "192.0.2.1", "2001:db8::1", "a b", "a:25", "[[a]]"}) {
    EXPECT_EQ(ParseRoute(text, "d.example", 25), std::nullopt) << text;
  }
  EXPECT_EQ(ParseRoute("a.example", "d.example", 0), std::nullopt);
  EXPECT_EQ(RouteByDestination("[nonsense]"), std::nullopt);
}

}  // namespace
}  // namespace holdfast::smtp
