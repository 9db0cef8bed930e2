#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "ops/bench/account.h"
#include "ops/bench/commands.h"
#include "ops/bench/record_file.h"
#include "ops/bench/report.h"

namespace holdfast::bench {
namespace {

// What a byte of record needs in memory at most: entries of some 300 bytes for lines of some 150.
constexpr size_t kMemoryPerFileByte = 3;

size_t PartsFor(const AccountOptions& options) {
  uint64_t bytes = 0;
  for (const auto* files : {&options.load_files, &options.sink_files}) {
    for (const std::string& file : *files) {
      std::error_code error;
      const auto size = std::filesystem::file_size(file, error);
      bytes += error ? 0 : size;  // Reading it will say what is wrong.
    }
  }
  const uint64_t budget = uint64_t{options.memory_mib} << 20;
  return 1 + bytes * kMemoryPerFileByte / budget;
}

absl::Status ReadInto(Tally& tally, const std::vector<std::string>& files, size_t part,
                      size_t parts, const Streams& streams) {
  for (const std::string& file : files) {
    const absl::StatusOr<RecordsRead> read = ForEachRecord(file, [&](const Record& record) {
      if (PartOf(record, parts) == part) tally.Add(record);
    });
    if (!read.ok()) return read.status();
    if (read->torn && part == 0) {
      streams.err << file << ": the last line is torn and was left out\n";
    }
  }
  return absl::OkStatus();
}

}  // namespace

int RunAccount(const AccountOptions& options, const Streams& streams) {
  const size_t parts = PartsFor(options);
  Account account;
  for (size_t part = 0; part < parts; ++part) {
    Tally tally(options.names_max);
    absl::Status status = ReadInto(tally, options.load_files, part, parts, streams);
    if (status.ok()) status = ReadInto(tally, options.sink_files, part, parts, streams);
    if (!status.ok()) {
      streams.err << "holdfast-bench: " << Message(status) << "\n";
      return kFailed;
    }
    account.Add(tally.Finish(), options.names_max);
  }
  streams.out << (options.json ? AccountJson(account) : AccountText(account)) << std::flush;
  return account.clean() ? kDone : kFailed;
}

}  // namespace holdfast::bench
