#include "smtp/protocol/address.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace holdfast::smtp {
namespace {

PathRules Any() {
  PathRules rules;
  rules.allow_null = true;
  rules.allow_bare_postmaster = true;
  rules.allow_utf8 = true;
  return rules;
}

// "local|domain|key+what is left of the text", or the error.
std::string Parse(std::string_view text, const PathRules& rules = Any()) {
  const PathResult result = ParsePath(text, rules);
  if (result.path) {
    return result.path->local_part + "|" + result.path->domain + "|" + result.path->domain_key +
           "+" + std::string(text.substr(result.consumed));
  }
  switch (result.error) {
    case PathError::kSyntax:
      return "syntax";
    case PathError::kTooLong:
      return "too long";
    case PathError::kDomainSyntax:
      return "domain";
    case PathError::kNeedsSmtpUtf8:
      return "needs SMTPUTF8";
    case PathError::kInvalidUtf8:
      return "UTF-8";
    case PathError::kNone:
      break;
  }
  return "no error and no path";
}

TEST(AddressTest, PlainMailboxes) {
  EXPECT_EQ(Parse("<a@b>"), "a|b|b+");
  EXPECT_EQ(Parse("<First.Last+tag@Sub.Example.ORG> SIZE=1"),
            "First.Last+tag|Sub.Example.ORG|sub.example.org+ SIZE=1");
  EXPECT_EQ(Parse("<!#$%&'*+-/=?^_`{|}~@x_y.test>"), "!#$%&'*+-/=?^_`{|}~|x_y.test|x_y.test+");
}

TEST(AddressTest, QuotedLocalPartsStayAsTheyAre) {  // RFC 5321 4.1.2
  EXPECT_EQ(Parse("<\"a b\"@d>"), "\"a b\"|d|d+");
  EXPECT_EQ(Parse("<\"a@b\"@d>"), "\"a@b\"|d|d+");
  EXPECT_EQ(Parse("<\"a>b\"@d>rest"), "\"a>b\"|d|d+rest");
  EXPECT_EQ(Parse("<\"a\\\"b\\\\\"@d>"), "\"a\\\"b\\\\\"|d|d+");
  EXPECT_EQ(Parse("<\"\"@d>"), "\"\"|d|d+");
  EXPECT_EQ(Parse("<\"a\x01\"@d>"), "syntax");
  EXPECT_EQ(Parse("<\"a\\"), "syntax");
  EXPECT_EQ(Parse("<\"ab@d>"), "syntax");
}

TEST(AddressTest, NullPathAndPostmaster) {
  EXPECT_EQ(Parse("<>"), "||+");
  EXPECT_EQ(Parse("<pOstMaster> x"), "pOstMaster||+ x");
  PathRules strict;
  EXPECT_EQ(Parse("<>", strict), "syntax");
  EXPECT_EQ(Parse("<postmaster>", strict), "syntax");
  EXPECT_EQ(Parse("<root>"), "syntax");
  EXPECT_TRUE(ParsePath("<>", Any()).path->is_null());
  EXPECT_FALSE(ParsePath("<postmaster>", Any()).path->is_null());
  EXPECT_EQ(ParsePath("<postmaster>", Any()).path->mailbox(), "postmaster");
}

TEST(AddressTest, AddressLiterals) {
  EXPECT_EQ(Parse("<a@[192.0.2.1]>"), "a|[192.0.2.1]|[192.0.2.1]+");
  EXPECT_EQ(Parse("<a@[ipv6:2001:DB8:0::1]>"), "a|[ipv6:2001:DB8:0::1]|[IPv6:2001:db8::1]+");
  EXPECT_EQ(Parse("<a@[192.0.2.256]>"), "domain");
  EXPECT_EQ(Parse("<a@[192.0.2]>"), "domain");
  EXPECT_EQ(Parse("<a@[2001:db8::1]>"), "domain");
  EXPECT_EQ(Parse("<a@[x-tag:y]>"), "domain");
  EXPECT_EQ(Parse("<a@[]>"), "domain");
  EXPECT_EQ(Parse("<a@[192.0.2.1>"), "syntax");
}

TEST(AddressTest, SourceRoutesAreReadAndIgnored) {
  EXPECT_EQ(Parse("<@x.test,@y.test:a@b>"), "a|b|b+");
  EXPECT_EQ(Parse("<@x.test:a@b>"), "a|b|b+");
  EXPECT_EQ(Parse("<@x.test,a@b>"), "syntax");
  EXPECT_EQ(Parse("<@x.test>"), "syntax");
}

TEST(AddressTest, NothingIsRepaired) {
  for (std::string_view text :
       {"<", "<a@b", "<@b>", "<a@>", "<a@b@c>", "<<a@b>>", "a@b", "<a>", "<a b@c>", "<.a@b>",
        "<a.@b>", "<a..b@c>", "<a@b c>", "<a@b,c>", "<a\xC3\xBC(x)@b>", "", "<a@b\t>"}) {
    EXPECT_EQ(Parse(text), "syntax") << text;
  }
  for (std::string_view text : {"<a@b.>", "<a@.b>", "<a@b..c>", "<a@-b>", "<a@b->", "<a@b/c>",
                                "<a@b-.c>", "<a@b(c)>", "<a@b!c>"}) {
    EXPECT_EQ(Parse(text), "domain") << text;
  }
}

TEST(AddressTest, NulNeverPasses) {
  EXPECT_EQ(Parse(std::string_view("<a\0@b>", 7)), "syntax");
  EXPECT_EQ(Parse(std::string_view("<a@b\0>", 7)), "domain");
  EXPECT_EQ(Parse(std::string_view("<\"\0\"@b>", 8)), "syntax");
  EXPECT_EQ(Parse(std::string_view("<a@[192.0.2.1\0]>", 17)), "domain");
}

TEST(AddressTest, Limits) {
  const std::string label(63, 'd');
  const std::string domain = label + "." + label + "." + label + "." + std::string(61, 'd');
  EXPECT_EQ(Parse("<a@" + domain + ">"), "a|" + domain + "|" + domain + "+");
  EXPECT_EQ(Parse("<a@" + domain + "ddd>"), "domain");
  EXPECT_EQ(Parse("<a@" + label + "d>"), "domain");
  EXPECT_EQ(Parse("<" + std::string(64, 'a') + "@b>").substr(0, 1), "a");  // the RFC's own 64
  EXPECT_EQ(Parse("<" + std::string(257, 'a') + "@b>"), "too long");
  std::string route = "<";
  for (int i = 0; i < 100; ++i) route += (i == 0 ? "@" : ",@") + std::string(20, 'r');
  EXPECT_EQ(Parse(route + ":a@b>"), "too long");
}

TEST(AddressTest, InternationalAddresses) {  // RFC 6531 3.3
  const std::string text =
      "<\xC3\xBC@b\xC3\xBC"
      "cher.test>";
  EXPECT_EQ(Parse(text),
            "\xC3\xBC|b\xC3\xBC"
            "cher.test|xn--bcher-kva.test+");
  EXPECT_EQ(Parse(text, PathRules()), "needs SMTPUTF8");
  EXPECT_EQ(Parse("<a@b\xC3\xBC"
                  "cher.test>",
                  PathRules()),
            "needs SMTPUTF8");
  EXPECT_EQ(Parse("<\xC3@b>"), "UTF-8");
  EXPECT_EQ(Parse("<a\xC0\xAF@b>"), "UTF-8");
  EXPECT_EQ(Parse("<a@\xED\xA0\x80>"), "UTF-8");
}

TEST(AddressTest, AsciiFormForOldHops) {
  EXPECT_EQ(AsciiMailbox(*ParsePath("<a@b\xC3\xBC"
                                    "cher.test>",
                                    Any())
                              .path),
            "a@xn--bcher-kva.test");
  EXPECT_EQ(AsciiMailbox(*ParsePath("<\xC3\xBC@b>", Any()).path), std::nullopt);
  EXPECT_EQ(AsciiMailbox(*ParsePath("<A@B>", Any()).path), "A@B");
}

TEST(AddressTest, DomainKeys) {
  EXPECT_EQ(DomainKey("EXAMPLE.org"), "example.org");
  EXPECT_EQ(DomainKey("B\xC3\x9C"
                      "CHER.example"),
            "xn--bcher-kva.example");
  EXPECT_EQ(DomainKey("xn--bcher-kva.example"), "xn--bcher-kva.example");
  EXPECT_EQ(DomainKey("example.org."), std::nullopt);
  EXPECT_EQ(DomainKey(""), std::nullopt);
  EXPECT_EQ(DomainKey("a b"), std::nullopt);
  // A full-width character that the mapping turns into a separator must not make a new one appear.
  EXPECT_EQ(DomainKey("a\xEF\xBC\xA0"
                      "b.test"),
            std::nullopt);
}

TEST(AddressTest, PostmasterInDisguise) {
  EXPECT_TRUE(IsPostmaster("PostMaster"));
  EXPECT_TRUE(IsPostmaster("\"postmaster\""));
  EXPECT_TRUE(IsPostmaster("\"p\\ostmaster\""));
  EXPECT_FALSE(IsPostmaster("postmaster2"));
  EXPECT_EQ(UnquoteLocalPart("\"a\\\"b c\""), "a\"b c");
}

TEST(AddressTest, Utf8) {
  EXPECT_TRUE(IsValidUtf8("\xF0\x9F\x93\xA7 \xE2\x82\xAC"));
  for (std::string_view bad : {"\x80", "\xC1\x81", "\xE0\x80\x80", "\xF4\x90\x80\x80", "\xE2\x82",
                               "\xF8\x88\x80\x80\x80", "\xED\xBF\xBF", "\xFF"}) {
    EXPECT_FALSE(IsValidUtf8(bad));
  }
}

}  // namespace
}  // namespace holdfast::smtp
