// base/log.h
// Structured log lines to stderr, logfmt by default or JSON (spdlog underneath):
//
//   Log(LogLevel::kInfo, "accepted", {{"queue_id", id}, {"bytes", size}});
//   ts=2026-01-02T03:04:05.678Z level=info event=accepted node=1 queue_id=... bytes=1234
//
// Values are escaped (controls, quotes, newlines), so that no client can forge a line. Credentials
// and message content are never passed here.
// Threads: thread-safe. Configure once, before the first line, and again on SIGHUP (level only).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace holdfast {

enum class LogLevel { kDebug, kInfo, kWarn, kError };
enum class LogFormat { kLogfmt, kJson };

// One `key=value`. Numbers are printed bare in JSON, strings quoted.
class LogField {
 public:
  LogField(std::string_view key, std::string_view value) : key_(key), text_(value) {}
  LogField(std::string_view key, const std::string& value) : key_(key), text_(value) {}
  LogField(std::string_view key, const char* value) : key_(key), text_(value) {}
  template <typename T>
  requires std::is_arithmetic_v<T> LogField(std::string_view key, T value)
      : key_(key), text_(NumberText(value)), is_number_(true) {}

  std::string_view key() const { return key_; }
  const std::string& text() const { return text_; }
  bool is_number() const { return is_number_; }

 private:
  template <typename T>
  static std::string NumberText(T value) {
    if constexpr (std::is_same_v<T, bool>) return value ? "true" : "false";
    return std::to_string(value);
  }
  std::string_view key_;
  std::string text_;
  bool is_number_ = false;
};

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kLogfmt;
  std::string node;  // Stands in every line when not empty.
};

void ConfigureLog(const LogOptions& options);
void SetLogLevel(LogLevel level);
bool LogEnabled(LogLevel level);

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});
// The same for a list built at run time.
void LogSpan(LogLevel level, std::string_view event, const LogField* fields, size_t count);

// One formatted line without the newline; what Log() writes. For the format test.
std::string FormatLogLine(const LogOptions& options, std::string_view ts, LogLevel level,
                          std::string_view event, const LogField* fields, size_t count);

}  // namespace holdfast
