// node/control/control_tables.h
// The key-value rows in which the control group's state lives: the little that ControlState needs
// of a store. The node adapts one state batch to it, so that the rows and the applied index are
// written together. MemoryControlTables is the simulated edge. Threads: owned by the apply context.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::node {

class ControlTables {
 public:
  virtual ~ControlTables() = default;

  // Sees what this batch has put and deleted so far.
  virtual std::optional<std::string> Get(std::string_view key) const = 0;
  virtual void Put(std::string_view key, std::string_view value) = 0;
  virtual void Delete(std::string_view key) = 0;
  // Rows whose key starts with `prefix` and is at least `from`, in key order, until `visit` returns
  // false. Sees this batch. `visit` must not change the tables.
  virtual void Scan(
      std::string_view prefix, std::string_view from,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;
};

class MemoryControlTables final : public ControlTables {
 public:
  std::optional<std::string> Get(std::string_view key) const override;
  void Put(std::string_view key, std::string_view value) override;
  void Delete(std::string_view key) override;
  void Scan(std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view key, std::string_view value)>& visit)
      const override;

  const std::map<std::string, std::string, std::less<>>& rows() const { return rows_; }

 private:
  std::map<std::string, std::string, std::less<>> rows_;
};

}  // namespace holdfast::node
