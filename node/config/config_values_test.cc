#include "node/config/config_values.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

TEST(DurationTest, ReadsNumbersWithUnits) {
  EXPECT_EQ(ParseDuration("250ms"), absl::Milliseconds(250));
  EXPECT_EQ(ParseDuration("30s"), absl::Seconds(30));
  EXPECT_EQ(ParseDuration("5m"), absl::Minutes(5));
  EXPECT_EQ(ParseDuration("1h30m"), absl::Minutes(90));
  EXPECT_EQ(ParseDuration("5d"), absl::Hours(120));
  EXPECT_EQ(ParseDuration("0s"), absl::ZeroDuration());
  EXPECT_EQ(ParseDuration("10000d"), absl::Hours(240000));
}

TEST(DurationTest, RefusesEverythingElse) {
  for (const char* text : {"", "5", "m", "-5m", "+5m", "5 m", "5min", "5M", "1.5h", "5m ", "10001d",
                           "99999999999ms", "9999999999d", "0x5s"}) {
    EXPECT_FALSE(ParseDuration(text).has_value()) << text;
  }
}

TEST(DurationTest, WritesWhatItReads) {
  for (const char* text : {"250ms", "30s", "1h30m", "5d", "1d1h1m1s1ms", "0s"}) {
    EXPECT_EQ(DurationText(*ParseDuration(text)), text);
  }
}

TEST(RateTest, ReadsCountAndTime) {
  const auto rate = ParseRate("100/1m");
  ASSERT_TRUE(rate.has_value());
  EXPECT_EQ(rate->count, 100u);
  EXPECT_EQ(rate->per, absl::Minutes(1));
  for (const char* text : {"", "100", "/1m", "0/1m", "100/", "100/0s", "-1/1s", "2000000000/1s"}) {
    EXPECT_FALSE(ParseRate(text).has_value()) << text;
  }
}

TEST(NearestNameTest, SuggestsOnlyWhatIsNear) {
  const std::vector<std::string> names = {"listeners", "hostname", "tls", "log", "user"};
  EXPECT_EQ(NearestName("listener", names), "listeners");
  EXPECT_EQ(NearestName("lisetners", names), "listeners");
  EXPECT_EQ(NearestName("host_name", names), "hostname");
  EXPECT_EQ(NearestName("tsl", names), "tls");
  EXPECT_FALSE(NearestName("zebra_crossing", names).has_value());
  EXPECT_FALSE(NearestName(std::string(100000, 'a'), names).has_value());
}

}  // namespace
}  // namespace holdfast::node
