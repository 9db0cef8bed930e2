#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "tests/storage/sim_store.h"

namespace holdfast::raft {
namespace {

class SimView final : public StateView {
 public:
  SimView(std::shared_ptr<const SimRows> rows, Mark mark)
      : rows_(std::move(rows)), mark_(std::move(mark)), next_(rows_->begin()) {}

  const Mark& mark() const override { return mark_; }
  absl::StatusOr<std::vector<Row>> Next(uint64_t bytes_max) override {
    std::vector<Row> out;
    uint64_t bytes = 0;
    for (; next_ != rows_->end(); ++next_) {
      bytes += next_->first.size() + next_->second.size();
      if (!out.empty() && bytes > bytes_max) break;
      out.push_back(Row{next_->first, next_->second});
    }
    return out;
  }

 private:
  const std::shared_ptr<const SimRows> rows_;
  const Mark mark_;
  SimRows::const_iterator next_;
};

class SimInstall final : public StateInstall {
 public:
  SimInstall(SimDisk& disk, GroupId group, uint64_t incarnation, uint64_t generation,
             std::function<void(const absl::Status&)> failed, std::function<void()> ended)
      : disk_(disk),
        group_(group),
        incarnation_(incarnation),
        generation_(generation),
        failed_(std::move(failed)),
        ended_(std::move(ended)) {}
  ~SimInstall() override { ended_(); }

  uint64_t generation() const override { return generation_; }

  absl::Status PutRows(const std::vector<StateView::Row>& rows) override {
    std::vector<SimChange> batch;
    for (const StateView::Row& row : rows) {
      HOLDFAST_CHECK(row.key.size() <= kStateKeyBytesMax)
          << "state key of " << row.key.size() << " bytes";
      batch.emplace_back(SimPutRow{group_, generation_, row.key, row.value});
    }
    return Write(std::move(batch));
  }

  absl::Status PutBody(const BodyKey& key, const Body& body) override {
    HOLDFAST_CHECK(key.group == group_) << "a body of group " << key.group;
    std::vector<SimChange> batch{SimPutBody{incarnation_, key, SimBody{body, Crc32c(*body)}}};
    if (key.index > disk_.now().groups.at(group_).garbage_through.value_or(0)) {
      batch.emplace_back(SimPutGarbage{group_, key.index});
    }
    return Write(std::move(batch));
  }

  std::unique_ptr<StateReader> Reader() const override {
    return NewSimReader(disk_, group_, generation_);
  }

 private:
  absl::Status Write(std::vector<SimChange> batch) {
    absl::Status written = disk_.Write(std::move(batch));
    if (!written.ok()) failed_(written);
    return written;
  }

  SimDisk& disk_;
  const GroupId group_;
  const uint64_t incarnation_;
  const uint64_t generation_;
  const std::function<void(const absl::Status&)> failed_;
  const std::function<void()> ended_;
};

}  // namespace

std::unique_ptr<StateView> NewSimView(std::shared_ptr<const SimRows> rows, StateView::Mark mark) {
  return std::make_unique<SimView>(std::move(rows), std::move(mark));
}

std::unique_ptr<StateInstall> NewSimInstall(SimDisk& disk, GroupId group, uint64_t incarnation,
                                            uint64_t generation,
                                            std::function<void(const absl::Status&)> failed,
                                            std::function<void()> ended) {
  return std::make_unique<SimInstall>(disk, group, incarnation, generation, std::move(failed),
                                      std::move(ended));
}

}  // namespace holdfast::raft
