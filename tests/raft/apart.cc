#include "tests/raft/apart.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

namespace holdfast::raft_test {
namespace {

// Of what the process wrote to stderr: a broken invariant speaks last.
constexpr long kLastWordsMax = 4000;

void WriteAll(int to, const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = write(to, text.data() + at, text.size() - at);
    if (written <= 0) break;
    at += static_cast<size_t>(written);
  }
}

std::string ReadAll(int from) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(from, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

std::string LastWords(std::FILE* file) {
  if (std::fseek(file, 0, SEEK_END) != 0) return "";
  const long end = std::ftell(file);
  const long begin = end > kLastWordsMax ? end - kLastWordsMax : 0;
  if (std::fseek(file, begin, SEEK_SET) != 0) return "";
  std::string text(static_cast<size_t>(end - begin), '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  return text;
}

}  // namespace

std::string RunApart(const std::function<std::string()>& body) {
  std::fflush(nullptr);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> words(std::tmpfile(), &std::fclose);
  int ends[2];
  if (words == nullptr || pipe(ends) != 0) return "no file or no pipe";
  const pid_t child = fork();
  if (child < 0) return "no process";
  if (child == 0) {
    close(ends[0]);
    dup2(fileno(words.get()), STDERR_FILENO);
    WriteAll(ends[1], body());
    _exit(0);
  }
  close(ends[1]);
  std::string text = ReadAll(ends[0]);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (status == 0) return text;
  text = LastWords(words.get());
  return text.empty() ? "the process ended without a word" : text;
}

}  // namespace holdfast::raft_test
