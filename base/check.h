// base/check.h
// CHECK: what must hold about ourselves. It stays on in release builds, because a node that doubts
// its own state must stop rather than guess. Never CHECK bytes from a socket, a file or an
// operator.
//
//   HOLDFAST_CHECK(index == last + 1) << "gap in the log: " << index;
//
// A failure prints file, line, the condition and the streamed text to stderr, then aborts.
// Threads: any.
#pragma once

#include <sstream>

namespace holdfast {

// Collects the text behind a failed check and aborts when it is destroyed.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition);
  CheckFailure(const CheckFailure&) = delete;
  CheckFailure& operator=(const CheckFailure&) = delete;
  [[noreturn]] ~CheckFailure();

  std::ostream& stream() { return text_; }

 private:
  std::ostringstream text_;
};

// Makes both arms of the ternary in the macros have type void, yet allows `<<` behind them.
struct CheckVoidify {
  void operator&(std::ostream&) const {}
};

// The environment failed in a way after which nothing may be promised (a write or sync error).
// Prints `message` to stderr and leaves with exit code 1, without running destructors.
[[noreturn]] void DieOfEnvironment(const char* message);

}  // namespace holdfast

#define HOLDFAST_CHECK(condition)                     \
  (__builtin_expect(static_cast<bool>(condition), 1)) \
      ? (void)0                                       \
      : ::holdfast::CheckVoidify() &                  \
            ::holdfast::CheckFailure(__FILE__, __LINE__, #condition).stream()

#ifdef NDEBUG
#define HOLDFAST_DCHECK(condition) HOLDFAST_CHECK(true || (condition))
#else
#define HOLDFAST_DCHECK(condition) HOLDFAST_CHECK(condition)
#endif
