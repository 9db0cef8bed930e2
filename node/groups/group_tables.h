// node/groups/group_tables.h
// The queue's Tables over the rows of a group's state machine: thin, so that rows and the applied
// index are written in one batch.
// Threads:  GroupTables belongs to the apply context; GroupReader may be made anywhere, one a
//           thread. Lifetime: what they are made over outlives them.
// Errors:   the first one sticks in status(); see queue/state/tables.h.
#pragma once

#include "queue/state/tables.h"
#include "raft/storage/state_batch.h"

namespace holdfast::node {

// Committed rows.
class GroupReader final : public queue::TablesReader {
 public:
  explicit GroupReader(const raft::StateReader& rows) : rows_(rows) {}
  std::optional<std::string> Get(std::string_view key) const override;
  queue::ScanEnd Scan(std::string_view from, std::string_view to, size_t rows_max,
                      const Visitor& visitor) const override;
  absl::Status status() const override { return status_; }

 private:
  const raft::StateReader& rows_;
  mutable absl::Status status_;
};

// The rows as the batch has them so far.
class GroupTables final : public queue::Tables {
 public:
  explicit GroupTables(raft::StateBatch& batch) : batch_(batch), reader_(batch) {}
  std::optional<std::string> Get(std::string_view key) const override { return reader_.Get(key); }
  queue::ScanEnd Scan(std::string_view from, std::string_view to, size_t rows_max,
                      const Visitor& visitor) const override {
    return reader_.Scan(from, to, rows_max, visitor);
  }
  absl::Status status() const override { return reader_.status(); }
  void Put(std::string_view key, std::string_view value) override { batch_.Put(key, value); }
  void Delete(std::string_view key) override { batch_.Delete(key); }

 private:
  raft::StateBatch& batch_;
  const GroupReader reader_;
};

}  // namespace holdfast::node
