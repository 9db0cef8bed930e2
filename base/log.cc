#include "base/log.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

#include "base/mutex.h"

namespace holdfast {
namespace {

std::atomic<LogLevel> g_level{LogLevel::kInfo};

struct LogState {
  Mutex mutex;
  LogOptions options ABSL_GUARDED_BY(mutex);
  std::shared_ptr<spdlog::logger> logger ABSL_GUARDED_BY(mutex);
};

LogState& State() {
  static LogState* const state = [] {
    auto* made = new LogState;
    MutexLock lock(made->mutex);
    made->logger = std::make_shared<spdlog::logger>(
        "holdfast", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->logger->set_pattern("%v");
    made->logger->set_level(spdlog::level::trace);
    made->logger->flush_on(spdlog::level::trace);
    return made;
  }();
  return *state;
}

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

bool PlainInLogfmt(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u <= ' ' || u == '"' || u == '=' || u == '\\' || u == 0x7f) return false;
  }
  return true;
}

void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20 || u == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", u);
    } else {
      out += c;
    }
  }
  out += '"';
}

void AppendPair(std::string& out, LogFormat format, std::string_view key, std::string_view text,
                bool is_number) {
  if (format == LogFormat::kJson) {
    if (out.size() > 1) out += ',';
    AppendQuoted(out, key);
    out += ':';
    if (is_number) {
      out += text;
    } else {
      AppendQuoted(out, text);
    }
    return;
  }
  if (!out.empty()) out += ' ';
  out += key;
  out += '=';
  if (is_number || PlainInLogfmt(text)) {
    out += text;
  } else {
    AppendQuoted(out, text);
  }
}

}  // namespace

std::string FormatLogLine(const LogOptions& options, std::string_view ts, LogLevel level,
                          std::string_view event, const LogField* fields, size_t count) {
  std::string out;
  if (options.format == LogFormat::kJson) out += '{';
  AppendPair(out, options.format, "ts", ts, false);
  AppendPair(out, options.format, "level", LevelName(level), false);
  AppendPair(out, options.format, "event", event, false);
  if (!options.node.empty()) AppendPair(out, options.format, "node", options.node, false);
  for (size_t i = 0; i < count; ++i) {
    AppendPair(out, options.format, fields[i].key(), fields[i].text(), fields[i].is_number());
  }
  if (options.format == LogFormat::kJson) out += '}';
  return out;
}

void ConfigureLog(const LogOptions& options) {
  LogState& state = State();
  MutexLock lock(state.mutex);
  state.options = options;
  g_level = options.level;
}

void SetLogLevel(LogLevel level) { g_level = level; }

bool LogEnabled(LogLevel level) { return level >= g_level.load(std::memory_order_relaxed); }

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  LogSpan(level, event, fields.begin(), fields.size());
}

void LogSpan(LogLevel level, std::string_view event, const LogField* fields, size_t count) {
  if (!LogEnabled(level)) return;
  const std::string ts = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  LogState& state = State();
  std::shared_ptr<spdlog::logger> logger;
  std::string line;
  {
    MutexLock lock(state.mutex);
    line = FormatLogLine(state.options, ts, level, event, fields, count);
    logger = state.logger;
  }
  logger->log(spdlog::level::info, "{}", line);
}

}  // namespace holdfast
