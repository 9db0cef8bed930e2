#include "ops/bench/report.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::bench {
namespace {

double PerSecond(uint64_t count, absl::Duration span) {
  const double seconds = absl::ToDoubleSeconds(span);
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

std::string LatencyText(std::string_view name, const LatencyHistogram& latency) {
  const auto ms = [&](double percent) {
    return absl::ToDoubleMilliseconds(latency.Percentile(percent));
  };
  return format("{:<15} p50 {:.1f} ms, p90 {:.1f}, p99 {:.1f}, p99.9 {:.1f}, max {:.1f}\n", name,
                ms(50), ms(90), ms(99), ms(99.9), absl::ToDoubleMilliseconds(latency.max()));
}

std::string LatencyJson(const LatencyHistogram& latency) {
  const auto us = [&](double percent) {
    return absl::ToInt64Microseconds(latency.Percentile(percent));
  };
  return format(R"({{"count":{},"p50_us":{},"p90_us":{},"p99_us":{},"p999_us":{},"max_us":{}}})",
                latency.count(), us(50), us(90), us(99), us(99.9),
                absl::ToInt64Microseconds(latency.max()));
}

std::string NamedText(std::string_view kind, const Named& named) {
  std::string text;
  for (const std::string& name : named.names) text += format("{}: {}\n", kind, name);
  // Several copies may stand behind one name.
  if (named.count > named.names.size()) {
    text += format("{}: {} in all, {} named\n", kind, named.count, named.names.size());
  }
  return text;
}

std::string NamedJson(std::string_view kind, const Named& named) {
  std::string names;
  for (const std::string& name : named.names) {
    names += (names.empty() ? "" : ",") + JsonString(name);
  }
  return format(R"("{}":{},"{}_names":[{}])", kind, named.count, kind, names);
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += '\\';
      json += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      json += format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      json += c;
    }
  }
  return json + '"';
}

std::string LoadText(const Load& load) {
  const LoadCounts& counts = load.counts();
  return format(
             "{} messages in {:.2f} s, {} of them accepted, {:.0f} a second, {:.1f} MiB/s\n"
             "recipients: accepted {}, temporary {}, permanent {}, unknown {}, given up {}\n"
             "connections: {} opened, {} failed, {} broken\n",
             counts.messages, absl::ToDoubleSeconds(load.span()), counts.messages_accepted,
             PerSecond(counts.messages_accepted, load.span()),
             PerSecond(counts.bytes_accepted, load.span()) / (1 << 20), counts.accepted,
             counts.temporary, counts.permanent, counts.unknown, counts.given_up,
             counts.connections, counts.connections_failed, counts.connections_broken) +
         LatencyText("connect to 250:", load.whole_latency()) +
         LatencyText("dot to 250:", load.dot_latency());
}

std::string LoadJson(const Load& load) {
  const LoadCounts& counts = load.counts();
  return format(
      R"({{"messages":{},"messages_accepted":{},"accepted":{},"temporary":{},"permanent":{},)"
      R"("unknown":{},"given_up":{},"connections":{},"connections_failed":{},)"
      R"("connections_broken":{},"bytes_accepted":{},"seconds":{:.6f},)"
      R"("messages_per_second":{:.3f},"connect_to_250":{},"dot_to_250":{}}})"
      "\n",
      counts.messages, counts.messages_accepted, counts.accepted, counts.temporary,
      counts.permanent, counts.unknown, counts.given_up, counts.connections,
      counts.connections_failed, counts.connections_broken, counts.bytes_accepted,
      absl::ToDoubleSeconds(load.span()), PerSecond(counts.messages_accepted, load.span()),
      LatencyJson(load.whole_latency()), LatencyJson(load.dot_latency()));
}

std::string LoadProgress(const Load& load, absl::Duration since_begin, uint64_t accepted_before) {
  const LoadCounts& counts = load.counts();
  return format(
      "{:5.0f} s  begun {}  accepted {} (+{})  temporary {}  permanent {}  unknown {}  "
      "connections failed {} broken {}",
      absl::ToDoubleSeconds(since_begin), counts.messages, counts.accepted,
      counts.accepted - std::min(accepted_before, counts.accepted), counts.temporary,
      counts.permanent, counts.unknown, counts.connections_failed, counts.connections_broken);
}

std::string SinkText(const SinkCounts& counts) {
  return format(
      "copies {}, notices {}, rejected {}, deferred {}, silent {}; {} messages, {} bytes, "
      "{} connections\n",
      counts.copies, counts.notices, counts.rejected, counts.deferred, counts.silent,
      counts.messages, counts.bytes, counts.connections);
}

std::string SinkJson(const SinkCounts& counts) {
  return format(
      R"({{"messages":{},"copies":{},"notices":{},"rejected":{},"deferred":{},"silent":{},)"
      R"("bytes":{},"connections":{}}})"
      "\n",
      counts.messages, counts.copies, counts.notices, counts.rejected, counts.deferred,
      counts.silent, counts.bytes, counts.connections);
}

std::string AccountText(const Account& account) {
  return NamedText("duplicate", account.duplicates) + NamedText("lost", account.lost) +
         NamedText("delivered and bounced", account.both) +
         NamedText("bounced twice", account.bounced_twice) + NamedText("changed", account.changed) +
         format("refused {}, unknown {}, silent {}, arrived without a 250 {}\n", account.refused,
                account.unknown, account.silent, account.unacknowledged) +
         account.Line() + "\n";
}

std::string AccountJson(const Account& account) {
  return format(R"({{"accepted":{},"delivered":{},"bounced":{},{},{},{},{},{},)"
                R"("unacknowledged":{},"silent":{},"refused":{},"unknown":{},"clean":{}}})"
                "\n",
                account.accepted, account.delivered, account.bounced,
                NamedJson("duplicates", account.duplicates), NamedJson("lost", account.lost),
                NamedJson("delivered_and_bounced", account.both),
                NamedJson("bounced_twice", account.bounced_twice),
                NamedJson("changed", account.changed), account.unacknowledged, account.silent,
                account.refused, account.unknown, account.clean());
}

}  // namespace holdfast::bench
