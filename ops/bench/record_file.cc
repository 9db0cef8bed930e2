#include "ops/bench/record_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/status.h"

namespace holdfast::bench {
namespace {

constexpr size_t kLineBytesMax = 16 * kFieldBytesMax;

absl::Status SystemError(const std::string& path, const char* step) {
  const int error = errno;
  const auto code = error == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kUnavailable;
  return MakeStatus(code, "{}: {}: {}", path, step, std::strerror(error));
}

// Takes the whole lines from the front of `text`, and leaves the rest there.
absl::Status TakeLines(const std::string& path, std::string& text, uint64_t& line_number,
                       const std::function<void(const Record&)>& visit, uint64_t& records) {
  std::string_view left = text;
  for (size_t end = left.find('\n'); end != std::string_view::npos; end = left.find('\n')) {
    const std::string_view line = left.substr(0, end);
    left.remove_prefix(end + 1);
    ++line_number;
    if (line.empty() || line.front() == '#') continue;
    absl::StatusOr<Record> record = ParseRecord(line);
    if (!record.ok()) {
      return Annotate(record.status(), format("{}:{}", path, line_number));
    }
    ++records;
    visit(*record);
  }
  text.erase(0, text.size() - left.size());
  if (text.size() <= kLineBytesMax) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kInvalidArgument, "{}:{}: a line of more than {} bytes", path,
                    line_number + 1, kLineBytesMax);
}

}  // namespace

RecordWriter::RecordWriter(std::string path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor), buffer_(kRecordTitle) {}

RecordWriter::~RecordWriter() { close(descriptor_); }

absl::StatusOr<std::unique_ptr<RecordWriter>> RecordWriter::Create(const std::string& path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return SystemError(path, "open");
  return std::unique_ptr<RecordWriter>(new RecordWriter(path, descriptor));
}

void RecordWriter::Append(const Record& record) {
  if (!failure_.ok()) return;
  buffer_ += FormatRecord(record);
  if (buffer_.size() >= kBufferBytes) (void)Flush();  // Its failure is kept.
}

absl::Status RecordWriter::Flush() {
  std::string_view left = buffer_;
  while (failure_.ok() && !left.empty()) {
    const ssize_t written = write(descriptor_, left.data(), left.size());
    if (written >= 0) {
      left.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR) {
      failure_ = SystemError(path_, "write");
    }
  }
  buffer_.clear();
  return failure_;
}

absl::StatusOr<RecordsRead> ForEachRecord(const std::string& path,
                                          const std::function<void(const Record&)>& visit) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return SystemError(path, "open");
  RecordsRead read;
  std::string buffer(RecordWriter::kBufferBytes, '\0');
  std::string text;
  uint64_t line_number = 0;
  absl::Status status;
  while (status.ok()) {
    const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
    if (count == 0) break;
    if (count > 0) {
      text.append(buffer, 0, static_cast<size_t>(count));
      status = TakeLines(path, text, line_number, visit, read.records);
    } else if (errno != EINTR) {
      status = SystemError(path, "read");
    }
  }
  close(descriptor);
  if (!status.ok()) return status;
  read.torn = !text.empty();
  return read;
}

}  // namespace holdfast::bench
