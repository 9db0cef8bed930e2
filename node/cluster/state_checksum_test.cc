#include "node/cluster/state_checksum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::node {
namespace {

using Rows = std::vector<raft::StateView::Row>;

// Gives two rows at a time.
class RowsView final : public raft::StateView {
 public:
  explicit RowsView(Rows rows) : rows_(std::move(rows)) {
    mark_.index = raft::LogIndex{7};
    mark_.term = raft::Term{3};
  }
  const Mark& mark() const override { return mark_; }
  absl::StatusOr<Rows> Next(uint64_t /*bytes_max*/) override {
    if (damaged) return absl::DataLossError("a row is damaged");
    Rows next;
    for (; next.size() < 2 && next_ < rows_.size(); ++next_) next.push_back(rows_[next_]);
    return next;
  }

  bool damaged = false;

 private:
  Mark mark_;
  const Rows rows_;
  size_t next_ = 0;
};

StateChecksum Sum(const Rows& rows) {
  RowsView view(rows);
  const absl::StatusOr<StateChecksum> sum = ChecksumOf(view, [] { return false; });
  EXPECT_TRUE(sum.ok()) << sum.status();
  return sum.ok() ? *sum : StateChecksum();
}

TEST(StateChecksum, CountsRowsAndNamesTheMoment) {
  const StateChecksum sum = Sum({{"a", "1"}, {"b", "2"}, {"c", "3"}});
  EXPECT_EQ(sum.applied, raft::LogIndex{7});
  EXPECT_EQ(sum.applied_term, raft::Term{3});
  EXPECT_EQ(sum.rows, 3u);
  EXPECT_EQ(sum, Sum({{"a", "1"}, {"b", "2"}, {"c", "3"}}));
}

TEST(StateChecksum, EveryByteAndItsPlaceCount) {
  const Rows rows = {{"a", "1"}, {"b", "2"}};
  EXPECT_NE(Sum(rows).crc32c, Sum({{"a", "1"}, {"b", "3"}}).crc32c);
  EXPECT_NE(Sum(rows).crc32c, Sum({{"a", "1"}, {"c", "2"}}).crc32c);
  EXPECT_NE(Sum(rows).crc32c, Sum({{"a", "1"}}).crc32c);
  EXPECT_NE(Sum(rows).crc32c, Sum({{"a", "1b"}, {"", "2"}}).crc32c);
  EXPECT_NE(Sum({{"a", ""}}).crc32c, Sum({{"", "a"}}).crc32c);
}

TEST(StateChecksum, GivesUpAndReportsDamage) {
  RowsView view(Rows{{"a", "1"}});
  EXPECT_EQ(ChecksumOf(view, [] { return true; }).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  view.damaged = true;
  EXPECT_EQ(ChecksumOf(view, [] { return false; }).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace holdfast::node
