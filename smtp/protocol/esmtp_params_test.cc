#include "smtp/protocol/esmtp_params.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <string_view>

namespace holdfast::smtp {
namespace {

std::string Error(const ParameterResult& result) {
  switch (result.error) {
    case ParameterError::kNone:
      return "";
    case ParameterError::kSyntax:
      return "syntax " + std::string(result.name);
    case ParameterError::kUnknown:
      return "unknown";
    case ParameterError::kValueNotImplemented:
      return "not implemented " + std::string(result.name);
  }
  return "?";
}

std::string MailError(std::string_view text) {
  MailParameters parameters;
  return Error(ParseMailParameters(text, parameters));
}

std::string RcptError(std::string_view text, bool smtputf8 = false) {
  RcptParameters parameters;
  return Error(ParseRcptParameters(text, smtputf8, parameters));
}

TEST(EsmtpParamsTest, AllOfMail) {
  MailParameters parameters;
  ASSERT_EQ(Error(ParseMailParameters(
                " size=1000 Body=8bitmime SMTPUTF8 RET=hdrs ENVID=a+2Bb AUTH=<>", parameters)),
            "");
  EXPECT_EQ(parameters.size_bytes, 1000u);
  EXPECT_EQ(parameters.body, BodyType::k8BitMime);
  EXPECT_TRUE(parameters.smtputf8);
  EXPECT_EQ(parameters.ret, DsnReturn::kHeaders);
  EXPECT_EQ(parameters.envid, "a+2Bb");
  EXPECT_EQ(parameters.auth, "<>");
  ASSERT_EQ(Error(ParseMailParameters("", parameters)), "");
  EXPECT_EQ(parameters, MailParameters());  // absent stays absent
}

TEST(EsmtpParamsTest, SizeNeverWrapsAround) {  // RFC 1870 3
  MailParameters parameters;
  ASSERT_EQ(Error(ParseMailParameters(" SIZE=99999999999999999999", parameters)), "");
  EXPECT_EQ(parameters.size_bytes, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(MailError(" SIZE=000000000000000000001"), "syntax SIZE");
  for (std::string_view bad : {" SIZE=", " SIZE", " SIZE=-1", " SIZE=1k", " SIZE=1 SIZE=2"}) {
    EXPECT_EQ(MailError(bad).substr(0, 6), "syntax") << bad;
  }
}

TEST(EsmtpParamsTest, EachKindOfMistakeHasItsName) {
  EXPECT_EQ(MailError(" BODY=BINARYMIME"), "not implemented BODY");
  EXPECT_EQ(MailError(" BODY"), "syntax BODY");
  EXPECT_EQ(MailError(" SMTPUTF8=1"), "syntax SMTPUTF8");
  EXPECT_EQ(MailError(" RET=SOME"), "syntax RET");
  EXPECT_EQ(MailError(" FOO=1"), "unknown");
  EXPECT_EQ(MailError(" REQUIRETLS"), "unknown");
  EXPECT_EQ(MailError("x"), "syntax ");
  EXPECT_EQ(MailError(" =1"), "syntax ");
  EXPECT_EQ(MailError(" A@B"), "syntax ");
  EXPECT_EQ(MailError(" FOO=a=b=c"), "unknown");
}

TEST(EsmtpParamsTest, EnvidIsPrintableXtextUpTo100) {  // RFC 3461 4.4
  EXPECT_EQ(MailError(" ENVID=" + std::string(100, 'x')), "");
  EXPECT_EQ(MailError(" ENVID=" + std::string(101, 'x')), "syntax ENVID");
  for (std::string_view bad : {"a+0D+0Ab", "a+2", "a+2b", "a=b", "a+00", "+FF"}) {
    EXPECT_EQ(MailError(" ENVID=" + std::string(bad)), "syntax ENVID") << bad;
  }
}

TEST(EsmtpParamsTest, NotifyNeverStandsAlone) {  // RFC 3461 4.1
  RcptParameters parameters;
  ASSERT_EQ(Error(ParseRcptParameters(" NOTIFY=success,DELAY", false, parameters)), "");
  EXPECT_EQ(parameters.notify->ToString(), "SUCCESS,DELAY");
  ASSERT_EQ(Error(ParseRcptParameters(" NOTIFY=NEVER", false, parameters)), "");
  EXPECT_EQ(parameters.notify->ToString(), "NEVER");
  for (std::string_view bad : {"NEVER,SUCCESS", "SUCCESS,", ",", "SUCCESS,SUCCESS", "MAYBE"}) {
    EXPECT_EQ(RcptError(" NOTIFY=" + std::string(bad)), "syntax NOTIFY") << bad;
  }
  EXPECT_EQ(RcptError(" NOTIFY=NEVER NOTIFY=NEVER"), "syntax NOTIFY");
  EXPECT_EQ(RcptError(" SIZE=1"), "unknown");
}

TEST(EsmtpParamsTest, OrcptIsKeptAndChecked) {  // RFC 3461 4.2, RFC 6533 3
  RcptParameters parameters;
  ASSERT_EQ(Error(ParseRcptParameters(" ORCPT=RFC822;Bob+2Bx@Example", false, parameters)), "");
  EXPECT_EQ(parameters.orcpt, "RFC822;Bob+2Bx@Example");
  EXPECT_EQ(ParseOriginalRecipient(*parameters.orcpt, false)->address, "Bob+x@Example");
  for (std::string_view bad : {"bob@example", ";bob", "rfc822;", "rfc822;a+0Ab", "rf c;a",
                               "rfc822;a+zz", "utf-8;\xC3\xBC@b", "rfc822;\xC3\xBC@b"}) {
    EXPECT_EQ(RcptError(" ORCPT=" + std::string(bad)).substr(0, 6), "syntax") << bad;
  }
  EXPECT_EQ(RcptError(" ORCPT=utf-8;\xC3\xBC@b", true), "");
  EXPECT_EQ(RcptError(" ORCPT=utf-8;\xC3@b", true), "syntax ORCPT");
  EXPECT_EQ(RcptError(" ORCPT=utf-8;\\x{FC}@b"), "");
  EXPECT_EQ(RcptError(" ORCPT=rfc822;" + std::string(494, 'x')), "syntax ORCPT");
}

TEST(EsmtpParamsTest, XtextRoundTrip) {
  const std::string_view text("a+b=c d\x7F\xFF", 9);
  EXPECT_EQ(EncodeXtext(text), "a+2Bb+3Dc+20d+7F+FF");
  EXPECT_EQ(DecodeXtext(EncodeXtext(text)), text);
  EXPECT_EQ(DecodeXtext("+"), std::nullopt);
  EXPECT_EQ(DecodeXtext("a b"), std::nullopt);
}

}  // namespace
}  // namespace holdfast::smtp
