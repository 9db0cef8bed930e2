// node/peers/forming_file.h
// The file in which a node keeps its FormingRecord, "forming" in its data directory.
// Threads: any; one writer at a time.
// Errors:  kUnavailable: the system's reason; kDataLoss: not such a file.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "node/peers/forming.h"

namespace holdfast::node {

std::string FormingFile(const std::string& data_dir);

// nullopt: there is none.
absl::StatusOr<std::optional<FormingRecord>> ReadFormingRecord(const std::string& data_dir);

// In one piece, and on disk when this returns.
absl::Status WriteFormingRecord(const std::string& data_dir, const FormingRecord& record);

}  // namespace holdfast::node
