#include "base/check.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace holdfast {

CheckFailure::CheckFailure(const char* file, int line, const char* condition) {
  text_ << file << ":" << line << ": check failed: " << condition << " ";
}

CheckFailure::~CheckFailure() {
  std::fprintf(stderr, "%s\n", text_.str().c_str());
  std::fflush(stderr);
  std::abort();
}

void DieOfEnvironment(const char* message) {
  std::fprintf(stderr, "fatal: %s\n", message);
  std::fflush(stderr);
  _exit(1);
}

}  // namespace holdfast
