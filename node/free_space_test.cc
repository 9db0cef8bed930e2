#include "node/free_space.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

constexpr uint64_t kUncounted = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kPlenty = uint64_t{1} << 40;

TEST(FreeSpaceTest, ADiskHasSome) {
  const absl::StatusOr<FreeSpace> free = FreeSpaceOf("/proc/self");
  ASSERT_TRUE(free.ok()) << free.status();
  EXPECT_EQ(free->bytes, 0u);  // And it counts no files.
  EXPECT_EQ(free->files, kUncounted);
  EXPECT_TRUE(absl::IsUnavailable(FreeSpaceOf("/nowhere/at/all").status()));
}

TEST(FreeSpaceTest, OpeningTakesBytesAndFiles) {
  EXPECT_TRUE(SpaceToOpen().MetBy({kPlenty, 1000}));
  EXPECT_TRUE(SpaceToOpen().MetBy({kPlenty, kUncounted}));
  EXPECT_FALSE(SpaceToOpen().MetBy({kPlenty, 0}));
  EXPECT_FALSE(SpaceToOpen().MetBy({0, 1000}));
}

// Bytes were there all the time.
TEST(FreeSpaceTest, AfterAFailureMoreFilesAreWorthATry) {
  const NeededSpace more = MoreSpaceThan({kPlenty, 20});
  EXPECT_FALSE(more.MetBy({kPlenty, 20}));
  EXPECT_FALSE(more.MetBy({kPlenty - 1000, 30}));
  EXPECT_TRUE(more.MetBy({kPlenty - 1000, 1000}));
  EXPECT_TRUE(more.MetBy({2 * kPlenty, 0}));
}

// Files come and go on a disk that is shared.
TEST(FreeSpaceTest, WhereFilesWerePlentyOnlyBytesCount) {
  const NeededSpace more = MoreSpaceThan({1000, 5'000'000});
  EXPECT_FALSE(more.MetBy({1000, 5'001'000}));
  EXPECT_TRUE(more.MetBy({kPlenty, 5'000'000}));
}

TEST(FreeSpaceTest, WhereNobodyCountsFilesOnlyBytesCount) {
  const NeededSpace more = MoreSpaceThan({1000, kUncounted});
  EXPECT_FALSE(more.MetBy({1000, kUncounted}));
  EXPECT_TRUE(more.MetBy({kPlenty, kUncounted}));
}

}  // namespace
}  // namespace holdfast::node
