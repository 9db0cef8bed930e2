// node/delivery/intent_router.h
// Routes an attempt's intent to the duties of its group.
// Threads:  Set() before the first attempt; then as GroupDuties::RecordIntent().
// Lifetime: the duties outlive all attempts.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "node/delivery/attempt_runner.h"
#include "node/delivery/group_duties.h"

namespace holdfast::node {

class IntentRouter final : public IntentRecorder {
 public:
  // Of queue group i + 1.
  void Set(std::vector<std::unique_ptr<GroupDuties>>* duties) { duties_ = duties; }
  void RecordIntent(const AttemptTask& task, std::function<void(absl::Status)> done) override {
    (*duties_)[task.group.value() - 1]->RecordIntent(task, std::move(done));
  }
  void ConfirmLeadership(const AttemptTask& task, std::function<void(absl::Status)> done) override {
    (*duties_)[task.group.value() - 1]->ConfirmLeadership(task, std::move(done));
  }

 private:
  std::vector<std::unique_ptr<GroupDuties>>* duties_ = nullptr;
};

}  // namespace holdfast::node
