// node/amnesia.h
// What a node does about a store that has forgotten something it promised (docs/decisions/015): it
// ends before it votes or acknowledges again, and never starts from that directory any more. Who
// noticed may forget it (peers remember promises in memory only), so the finding is written down.
// Threads: any.
#pragma once

#include <string>

#include "base/status.h"

namespace holdfast::node {

// Adds what an operator has to do.
absl::Status WithAdvice(const absl::Status& lost, const std::string& data_dir);

// kDataLoss: an earlier life of this directory was found to have forgotten something.
absl::Status CheckNoAmnesia(const std::string& data_dir);

// Writes the finding down and ends the process with exit code 1.
[[noreturn]] void EndForAmnesia(const std::string& data_dir, const absl::Status& lost);

}  // namespace holdfast::node
