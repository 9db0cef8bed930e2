// ops/bench/record_file.h
// Record files: RecordWriter appends lines through a bounded buffer, ForEachRecord reads them back.
//
// Threads: each object belongs to one thread.
// Limits:  the writer holds kBufferBytes, the reader one line of kLineBytesMax and one buffer.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "ops/bench/record.h"

namespace holdfast::bench {

class RecordWriter {
 public:
  static constexpr size_t kBufferBytes = 64 * 1024;

  // Creates the file or empties it.
  static absl::StatusOr<std::unique_ptr<RecordWriter>> Create(const std::string& path);
  ~RecordWriter();  // Without a flush: whoever wants the error calls it.
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;

  // Buffered; a failure is kept, and all that follows is dropped.
  void Append(const Record& record);
  // Hands everything to the kernel, so that an end of this process loses nothing.
  absl::Status Flush();

 private:
  RecordWriter(std::string path, int descriptor);

  const std::string path_;
  const int descriptor_;
  std::string buffer_;
  absl::Status failure_;
};

struct RecordsRead {
  uint64_t records = 0;
  // The file ends in the middle of a line, which was left out: its writer was cut off.
  bool torn = false;
};

// Calls `visit` for each record in order. kNotFound: no such file; kInvalidArgument: a line is no
// record ("FILE:12: ...").
absl::StatusOr<RecordsRead> ForEachRecord(const std::string& path,
                                          const std::function<void(const Record&)>& visit);

}  // namespace holdfast::bench
