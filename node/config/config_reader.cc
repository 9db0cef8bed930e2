#include "node/config/config_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace holdfast::node {

std::string ConfigProblem::ToString(std::string_view file) const {
  if (line == 0) return format("{}: {}", file, text);
  return format("{}:{}:{}: {}", file, line, column, text);
}

std::string ProblemLines(const std::vector<ConfigProblem>& problems, std::string_view file) {
  std::string out;
  for (const ConfigProblem& problem : problems) out += problem.ToString(file) + "\n";
  return out;
}

FileText ReadConfigFile(const std::string& path) {
  FileText result;
  const auto fail = [&result](std::string text) {
    result.text.clear();
    result.problems.push_back({0, 0, std::move(text)});
    return result;
  };
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return fail(format("cannot be read: {}", std::strerror(errno)));
  struct stat entry {};
  if (fstat(file, &entry) != 0 || S_ISDIR(entry.st_mode)) {
    close(file);
    return fail("cannot be read: it is a directory");
  }
  char buffer[16384];
  ssize_t count = 0;
  while (result.text.size() <= kConfigBytesMax && (count = read(file, buffer, sizeof buffer)) > 0) {
    result.text.append(buffer, static_cast<size_t>(count));
  }
  const int error = errno;
  close(file);
  if (count < 0) return fail(format("cannot be read: {}", std::strerror(error)));
  if (result.text.size() > kConfigBytesMax) {
    return fail(format("has more than {} bytes", kConfigBytesMax));
  }
  return result;
}

}  // namespace holdfast::node
