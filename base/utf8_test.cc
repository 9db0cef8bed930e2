#include "base/utf8.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(Utf8Test, MendsAndCutsAtCharacters) {
  EXPECT_TRUE(IsUtf8("gr\xC3\xBC\xC3\x9F"));
  EXPECT_FALSE(IsUtf8("\xC0\xAF"));          // Overlong.
  EXPECT_FALSE(IsUtf8("\xED\xA0\x80"));      // Surrogate.
  EXPECT_FALSE(IsUtf8("\xF4\x90\x80\x80"));  // Beyond U+10FFFF.
  EXPECT_EQ(MendUtf8("a\xFC"
                     "b\xC3"),
            "a?b?");
  EXPECT_EQ(CutUtf8("a\xC3\xBC", 2), "a");
  EXPECT_EQ(CutUtf8("a\xC3\xBC", 3), "a\xC3\xBC");
}

}  // namespace
}  // namespace holdfast
