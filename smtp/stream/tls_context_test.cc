#include "smtp/stream/tls_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "smtp/stream/test_certificate.h"

namespace holdfast::smtp {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(const TlsServerOptions& options) {
  const auto loaded = TlsContext::LoadServer(options);
  EXPECT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(loaded.status().message());
}

TEST(TlsContextTest, SaysWhichFileIsWrongAndWhy) {
  TestCertificate one("one.example");
  TestCertificate two("two.example");
  EXPECT_THAT(ErrorOf({"/nonexistent/cert.pem", one.file()}),
              HasSubstr("TLS certificate /nonexistent/cert.pem: No such file"));
  EXPECT_THAT(ErrorOf({one.file(), "/nonexistent/key.pem"}),
              HasSubstr("TLS key /nonexistent/key.pem: No such file"));
  EXPECT_THAT(ErrorOf({one.file(), two.file()}), HasSubstr("key values mismatch"));
  const std::string junk = one.file() + "-junk";
  std::ofstream(junk) << "not PEM\n";
  EXPECT_THAT(ErrorOf({junk, one.file()}), HasSubstr("no start line"));
}

TEST(TlsContextTest, ReloadKeepsTheOldOneOnFailure) {
  TestCertificate certificate("one.example");
  const std::string copy = certificate.file() + "-copy";
  std::ofstream(copy) << std::ifstream(certificate.file()).rdbuf();
  ReloadableTls tls({copy, copy});
  EXPECT_EQ(tls.Current(), nullptr);
  ASSERT_TRUE(tls.Reload().ok());
  const auto first = tls.Current();
  ASSERT_NE(first, nullptr);
  ASSERT_TRUE(tls.Reload().ok());
  EXPECT_NE(tls.Current(), first);
  const auto second = tls.Current();
  std::ofstream(copy) << "broken\n";
  EXPECT_FALSE(tls.Reload().ok());
  EXPECT_EQ(tls.Current(), second);
}

TEST(TlsContextTest, ClientRootsMustExist) {
  EXPECT_TRUE(TlsContext::LoadClient({}).ok());
  EXPECT_FALSE(TlsContext::LoadClient({.verify = true, .roots_file = "/nonexistent.pem"}).ok());
}

}  // namespace
}  // namespace holdfast::smtp
