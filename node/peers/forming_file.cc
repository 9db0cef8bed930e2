#include "node/peers/forming_file.h"

#include <utility>

#include "node/config/small_file.h"

namespace holdfast::node {

std::string FormingFile(const std::string& data_dir) { return data_dir + "/forming"; }

absl::StatusOr<std::optional<FormingRecord>> ReadFormingRecord(const std::string& data_dir) {
  const std::string path = FormingFile(data_dir);
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> text, ReadSmallFile(path));
  if (!text) return std::optional<FormingRecord>();
  absl::StatusOr<FormingRecord> record = FormingRecord::FromText(*text);
  if (!record.ok()) return Annotate(record.status(), path);
  return std::optional<FormingRecord>(*std::move(record));
}

absl::Status WriteFormingRecord(const std::string& data_dir, const FormingRecord& record) {
  return WriteDurably(FormingFile(data_dir), record.ToText());
}

}  // namespace holdfast::node
