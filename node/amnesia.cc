#include "node/amnesia.h"

#include <optional>

#include "base/check.h"
#include "base/log.h"
#include "node/config/small_file.h"

namespace holdfast::node {
namespace {

std::string MarkFile(const std::string& data_dir) { return data_dir + "/amnesiac"; }

}  // namespace

absl::Status WithAdvice(const absl::Status& lost, const std::string& data_dir) {
  return MakeStatus(
      lost.code(),
      "{}: this store has lost what the node promised to keep, and must neither vote nor "
      "acknowledge: {}. Set the directory aside; in a cluster, replace the node under a new id: "
      "`holdfast cluster join --replaces` (docs/runbooks/amnesia.md)",
      data_dir, Message(lost));
}

absl::Status CheckNoAmnesia(const std::string& data_dir) {
  HOLDFAST_ASSIGN_OR_RETURN(const std::optional<std::string> found,
                            ReadSmallFile(MarkFile(data_dir)));
  if (!found) return absl::OkStatus();
  return WithAdvice(absl::DataLossError(*found), data_dir);
}

void EndForAmnesia(const std::string& data_dir, const absl::Status& lost) {
  const absl::Status marked = WriteDurably(MarkFile(data_dir), std::string(Message(lost)));
  Log(LogLevel::kError, "amnesia",
      {{"reason", Message(lost)},
       {"written_down", marked.ok() ? "yes" : std::string(Message(marked))}});
  DieOfEnvironment(std::string(Message(WithAdvice(lost, data_dir))).c_str());
}

}  // namespace holdfast::node
