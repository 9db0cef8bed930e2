#include "ops/bench/options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <functional>
#include <map>
#include <utility>

#include "base/text.h"
#include "smtp/protocol/address.h"

namespace holdfast::bench {
namespace {

constexpr uint64_t kSizeMax = uint64_t{1} << 30;
constexpr char kFooter[] =
    "Examples:\n"
    "  holdfast-bench sink --listen 127.0.0.1:2526 --record sink.txt\n"
    "  holdfast-bench load --to 127.0.0.1:2525 --messages 10000 --record load.txt\n"
    "  holdfast-bench account --load load.txt --sink sink.txt\n"
    "Exit codes: 0 done, 1 failed (account: lost or damaged), 2 wrong usage.";

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<uint64_t> ParseBytes(std::string_view text) {
  uint64_t factor = 1;
  if (text.ends_with('k')) factor = 1024;
  if (text.ends_with('m')) factor = 1024 * 1024;
  if (factor > 1) text.remove_suffix(1);
  const std::optional<uint64_t> number = ParseNumber(text);
  if (!number || *number > kSizeMax / factor) return std::nullopt;
  return *number * factor;
}

// Makes `parse` the reader of an option: a value that it can't read is wrong usage.
template <typename T>
CLI::Option* AddParsed(CLI::App& app, const char* name,
                       std::function<bool(const std::string&, T&)> parse, T& value,
                       const char* expected, const char* text) {
  return app.add_option_function<std::string>(
      name,
      [=, &value](const std::string& given) {
        if (!parse(given, value)) {
          throw CLI::ValidationError(name, format("`{}` is not {}", given, expected));
        }
      },
      text);
}

bool ReadSpan(const std::string& text, absl::Duration& value) {
  const std::optional<absl::Duration> span = ParseSpan(text);
  if (span) value = *span;
  return span.has_value();
}

constexpr char kSpan[] = "a time such as 500ms, 30s or 5m";

void AddOutput(CLI::App& app, bool& quiet, bool& json) {
  app.add_flag("--quiet", quiet, "no progress on stderr");
  app.add_option_function<std::string>(
         "--output", [&json](const std::string& given) { json = given == "json"; },
         "text for people or json for programs")
      ->check(CLI::IsMember({"text", "json"}));
}

void AddMessages(CLI::App& app, LoadOptions& options) {
  app.add_option("--messages", options.messages, "how many")->check(CLI::PositiveNumber);
  app.add_option_function<std::string>(
      "--duration",
      [&options](const std::string& given) {
        options.duration = ParseSpan(given);
        if (!options.duration) {
          throw CLI::ValidationError("--duration", format("`{}` is not {}", given, kSpan));
        }
      },
      "for how long");
  app.add_option("--rate", options.rate, "messages a second; 0: as fast as the answers come")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  AddParsed<SizeRange>(
      app, "--size",
      [](const std::string& text, SizeRange& value) {
        const std::optional<SizeRange> range = ParseSizeRange(text);
        if (range) value = *range;
        return range.has_value();
      },
      options.size, "BYTES or MIN-MAX, such as 4096 or 1k-64k", "of each message, header included");
  app.add_option("--recipients", options.recipients, "of each message")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--domain", options.domains,
                 "of the recipients; repeated: messages go to them in turn")
      ->capture_default_str();
  app.add_option("--from", options.sender, "the sender, who gets the bounces")
      ->capture_default_str();
}

CLI::App* AddLoad(CLI::App& app, LoadOptions& options) {
  CLI::App* const load = app.add_subcommand("load", "sends messages and records what was promised");
  load->add_option_function<std::vector<std::string>>(
          "--to",
          [&options](const std::vector<std::string>& given) {
            for (const std::string& text : given) {
              const std::optional<HostPort> target = ParseHostPort(text);
              if (!target || target->port == 0) {
                throw CLI::ValidationError("--to", format("`{}` is not HOST:PORT", text));
              }
              options.targets.push_back(*target);
            }
          },
          "HOST:PORT; repeated: connections go to them in turn")
      ->required();
  load->add_option("--connections", options.connections, "at the same time")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  AddMessages(*load, options);
  load->add_option("--messages-per-connection", options.messages_per_connection,
                   "then a new connection, to the next target")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  CLI::Option* const plain = load->add_flag("--plain", options.plain, "one command at a time");
  load->add_flag_callback(
          "--pipelined", [] {}, "commands together where the target offers it (default)")
      ->excludes(plain);
  load->add_option("--record", options.record_file, "file for what became of each recipient");
  load->add_option("--tries", options.tries,
                   "of a message that was answered 4xx or cut before its dot")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  AddParsed<absl::Duration>(*load, "--patience", ReadSpan, options.patience, kSpan,
                            "how long a message waits for a target that takes connections (30s)");
  AddParsed<absl::Duration>(*load, "--answer-timeout", ReadSpan, options.answer_timeout, kSpan,
                            "for the answer to the dot (60s)");
  AddOutput(*load, options.quiet, options.json);
  return load;
}

CLI::App* AddSink(CLI::App& app, SinkOptions& options) {
  CLI::App* const sink = app.add_subcommand("sink", "takes mail and records what came");
  AddParsed<HostPort>(
      *sink, "--listen",
      [](const std::string& text, HostPort& value) {
        const std::optional<HostPort> parsed = ParseHostPort(text);
        if (parsed) value = *parsed;
        return parsed.has_value();
      },
      options.listen, "ADDRESS:PORT", "ADDRESS:PORT; 0: the kernel chooses (127.0.0.1:0)");
  sink->add_option("--port-file", options.port_file, "the port is written there once it listens");
  sink->add_option("--record", options.record_file, "file for every copy and notice that came");
  const auto percent = CLI::Range(0.0, 100.0);
  sink->add_option("--reject-percent", options.reject_percent,
                   "of recipients get 550, the same ones at each try; never mail from <>")
      ->check(percent);
  sink->add_option("--defer-percent", options.defer_percent,
                   "of recipients get 451, the same ones at each try; never mail from <>")
      ->check(percent);
  AddParsed<absl::Duration>(
      *sink, "--defer-for", ReadSpan, options.defer_for, kSpan,
      "deferred recipients are taken when the sink has run for so long (never)");
  sink->add_option_function<uint64_t>(
          "--delay", [&options](uint64_t ms) { options.delay = absl::Milliseconds(ms); },
          "milliseconds before the answer to the dot")
      ->check(CLI::Range(0, 3600000));
  sink->add_option("--silent-percent", options.silent_percent,
                   "of transactions get no answer to the dot, and a close; never mail from <>")
      ->check(percent);
  const std::map<std::string, Stall> stalls = {
      {"none", Stall::kNone}, {"greeting", Stall::kGreeting}, {"dot", Stall::kDot}};
  sink->add_option("--stall", options.stall, "hang for ever: before the greeting, or after the dot")
      ->transform(CLI::CheckedTransformer(stalls));
  sink->add_option("--expect", options.expected, "end once so many recipients were accepted")
      ->check(CLI::PositiveNumber);
  sink->add_option("--connections-max", options.connections_max, "more of them wait")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  AddOutput(*sink, options.quiet, options.json);
  return sink;
}

CLI::App* AddAccount(CLI::App& app, AccountOptions& options) {
  CLI::App* const account =
      app.add_subcommand("account", "joins the records: is anything lost, or there twice?");
  account->add_option("--load", options.load_files, "records of load")->required();
  account->add_option("--sink", options.sink_files, "records of sink")->required();
  account->add_option("--names", options.names_max, "how many of each kind are named")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  account
      ->add_option("--memory-mib", options.memory_mib,
                   "about so much is used; longer records are read several times")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  bool* const json = &options.json;
  account
      ->add_option_function<std::string>(
          "--output", [json](const std::string& given) { *json = given == "json"; },
          "text for people or json for programs")
      ->check(CLI::IsMember({"text", "json"}));
  return account;
}

// What CLI11 can't check by itself; empty when all is well.
std::string Problem(const LoadOptions& options) {
  if (!options.messages && !options.duration) return "load needs --messages or --duration";
  if (!options.sender.empty() && !smtp::ParseMailbox(options.sender, {}).path) {
    return format("--from: `{}` is not an address", options.sender);
  }
  for (const std::string& domain : options.domains) {
    if (!smtp::DomainKey(domain)) return format("--domain: `{}` is not a domain", domain);
  }
  return "";
}

std::string Problem(const SinkOptions& options) {
  if (options.reject_percent + options.defer_percent > 100) {
    return "--reject-percent and --defer-percent are more than 100 together";
  }
  return "";
}

}  // namespace

std::optional<SizeRange> ParseSizeRange(std::string_view text) {
  const size_t dash = text.find('-');
  const std::optional<uint64_t> min = ParseBytes(text.substr(0, dash));
  const std::optional<uint64_t> max =
      dash == std::string_view::npos ? min : ParseBytes(text.substr(dash + 1));
  if (!min || !max || *min == 0 || *min > *max) return std::nullopt;
  return SizeRange{*min, *max};
}

std::optional<absl::Duration> ParseSpan(std::string_view text) {
  absl::Duration span;
  if (const std::optional<uint64_t> seconds = ParseNumber(text)) {
    span = absl::Seconds(*seconds);
  } else if (!absl::ParseDuration(ToAbsl(text), &span)) {
    return std::nullopt;
  }
  if (span <= absl::ZeroDuration() || span > absl::Hours(24 * 365)) return std::nullopt;
  return span;
}

std::optional<HostPort> ParseHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::optional<uint64_t> port = ParseNumber(text.substr(colon + 1));
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // An IPv6 address without brackets is ambiguous.
  }
  if (host.empty() || !port || *port > 65535) return std::nullopt;
  return HostPort{std::string(host), static_cast<uint16_t>(*port)};
}

Parsed ParseArguments(const std::vector<std::string>& arguments, std::ostream& out,
                      std::ostream& err) {
  LoadOptions load_options;
  SinkOptions sink_options;
  AccountOptions account_options;
  CLI::App app("holdfast-bench: a load generator, a sink, and the account of both",
               "holdfast-bench");
  app.require_subcommand(1);
  app.footer(kFooter);
  const CLI::App* const load = AddLoad(app, load_options);
  const CLI::App* const sink = AddSink(app, sink_options);
  AddAccount(app, account_options);
  try {
    // CLI11 takes them from the end.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error, out, err) == 0 ? kDone : kUsage};
  }
  std::string problem;
  Parsed parsed;
  if (load->parsed()) {
    problem = Problem(load_options);
    parsed.command = std::move(load_options);
  } else if (sink->parsed()) {
    problem = Problem(sink_options);
    parsed.command = std::move(sink_options);
  } else {
    parsed.command = std::move(account_options);
  }
  if (problem.empty()) return parsed;
  err << problem << "\nRun with --help for more information.\n";
  return {std::nullopt, kUsage};
}

}  // namespace holdfast::bench
