#include "tests/raft/apart.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

namespace holdfast::raft_test {

std::string RunApart(const std::function<std::string()>& body) {
  std::fflush(nullptr);
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child < 0) return "no process";
  if (child == 0) {
    close(ends[0]);
    dup2(ends[1], STDERR_FILENO);
    const std::string text = body();
    for (size_t at = 0; at < text.size();) {
      const ssize_t written = write(ends[1], text.data() + at, text.size() - at);
      if (written <= 0) break;
      at += static_cast<size_t>(written);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0 && text.empty()) return "the process ended without a word";
  return text;
}

}  // namespace holdfast::raft_test
