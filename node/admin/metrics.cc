#include "node/admin/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <variant>

#include "base/check.h"
#include "base/text.h"

namespace holdfast::node {
namespace {

bool IsName(std::string_view name, bool colon_allowed) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [colon_allowed](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c == ':' && colon_allowed);
  });
}

std::string Escaped(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

std::string NumberText(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  // The shortest text that reads back as the same number.
  return format("{}", value);
}

// `a="x",b="y"`, without braces.
std::string LabelText(const MetricLabels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    out += format("{}{}=\"{}\"", out.empty() ? "" : ",", name, Escaped(value, true));
  }
  return out;
}

void AppendSample(std::string& out, std::string_view name, std::string_view labels,
                  std::string_view value) {
  out += name;
  if (!labels.empty()) out += format("{{{}}}", labels);
  out += format(" {}\n", value);
}

void AppendHistogram(std::string& out, std::string_view name, const std::string& labels,
                     const Histogram& histogram) {
  const std::vector<uint64_t> counts = histogram.counts();
  const std::string prefix = labels.empty() ? "" : labels + ",";
  uint64_t cumulative = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    cumulative += counts[i];
    const std::string bound = i < histogram.upper_bounds().size()
                                  ? NumberText(histogram.upper_bounds()[i])
                                  : std::string("+Inf");
    AppendSample(out, format("{}_bucket", name), format("{}le=\"{}\"", prefix, bound),
                 format("{}", cumulative));
  }
  AppendSample(out, format("{}_sum", name), labels, NumberText(histogram.sum()));
  AppendSample(out, format("{}_count", name), labels, format("{}", cumulative));
}

using Metric = std::variant<std::unique_ptr<Counter>, std::unique_ptr<Gauge>,
                            std::unique_ptr<Histogram>, std::function<double()>>;

}  // namespace

Histogram::Histogram(std::vector<double> upper_bounds)
    : upper_bounds_(std::move(upper_bounds)), counts_(upper_bounds_.size() + 1) {
  HOLDFAST_CHECK(std::is_sorted(upper_bounds_.begin(), upper_bounds_.end(), std::less_equal<>()))
      << "buckets must ascend";
  HOLDFAST_CHECK(std::all_of(upper_bounds_.begin(), upper_bounds_.end(),
                             [](double bound) { return std::isfinite(bound); }));
}

void Histogram::Observe(double value) {
  const auto bucket = std::lower_bound(upper_bounds_.begin(), upper_bounds_.end(), value);
  const auto index = static_cast<size_t>(bucket - upper_bounds_.begin());
  counts_[index].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<uint64_t> Histogram::counts() const {
  std::vector<uint64_t> counts;
  counts.reserve(counts_.size());
  for (const auto& count : counts_) counts.push_back(count.load(std::memory_order_relaxed));
  return counts;
}

std::vector<double> Histogram::LatencyBounds() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
          0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
}

std::vector<double> Histogram::WaitBounds() {
  return {0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600};
}

struct MetricRegistry::Family {
  struct Series {
    std::string labels;
    Metric metric;
  };
  std::string name;
  std::string help;
  std::string type;
  std::deque<Series> series;
};

MetricRegistry::MetricRegistry() = default;
MetricRegistry::~MetricRegistry() = default;

MetricRegistry::Family& MetricRegistry::FamilyFor(std::string_view name, std::string_view help,
                                                  std::string_view type,
                                                  const MetricLabels& labels) {
  HOLDFAST_CHECK(IsName(name, true)) << "no metric name: " << name;
  for (const auto& [label, value] : labels) {
    HOLDFAST_CHECK(IsName(label, false) && label != "le") << "no label name: " << label;
  }
  for (Family& family : families_) {
    if (family.name != name) continue;
    HOLDFAST_CHECK(family.type == type && family.help == help) << name << " of two kinds";
    const std::string text = LabelText(labels);
    for (const Family::Series& series : family.series) {
      HOLDFAST_CHECK(series.labels != text) << name << " registered twice: " << text;
    }
    return family;
  }
  families_.push_back(Family{std::string(name), std::string(help), std::string(type), {}});
  return families_.back();
}

Counter& MetricRegistry::AddCounter(std::string_view name, std::string_view help,
                                    MetricLabels labels) {
  MutexLock lock(mutex_);
  Family& family = FamilyFor(name, help, "counter", labels);
  auto counter = std::make_unique<Counter>();
  Counter& reference = *counter;
  family.series.push_back({LabelText(labels), std::move(counter)});
  return reference;
}

Gauge& MetricRegistry::AddGauge(std::string_view name, std::string_view help, MetricLabels labels) {
  MutexLock lock(mutex_);
  Family& family = FamilyFor(name, help, "gauge", labels);
  auto gauge = std::make_unique<Gauge>();
  Gauge& reference = *gauge;
  family.series.push_back({LabelText(labels), std::move(gauge)});
  return reference;
}

Histogram& MetricRegistry::AddHistogram(std::string_view name, std::string_view help,
                                        std::vector<double> upper_bounds, MetricLabels labels) {
  MutexLock lock(mutex_);
  Family& family = FamilyFor(name, help, "histogram", labels);
  auto histogram = std::make_unique<Histogram>(std::move(upper_bounds));
  Histogram& reference = *histogram;
  family.series.push_back({LabelText(labels), std::move(histogram)});
  return reference;
}

void MetricRegistry::AddGaugeFunction(std::string_view name, std::string_view help,
                                      std::function<double()> read, MetricLabels labels) {
  HOLDFAST_CHECK(read != nullptr);
  MutexLock lock(mutex_);
  FamilyFor(name, help, "gauge", labels).series.push_back({LabelText(labels), std::move(read)});
}

std::string MetricRegistry::Render() const {
  MutexLock lock(mutex_);
  std::string out;
  for (const Family& family : families_) {
    out += format("# HELP {} {}\n# TYPE {} {}\n", family.name, Escaped(family.help, false),
                  family.name, family.type);
    for (const Family::Series& series : family.series) {
      if (const auto* counter = std::get_if<std::unique_ptr<Counter>>(&series.metric)) {
        AppendSample(out, family.name, series.labels, format("{}", (*counter)->value()));
      } else if (const auto* gauge = std::get_if<std::unique_ptr<Gauge>>(&series.metric)) {
        AppendSample(out, family.name, series.labels, format("{}", (*gauge)->value()));
      } else if (const auto* read = std::get_if<std::function<double()>>(&series.metric)) {
        AppendSample(out, family.name, series.labels, NumberText((*read)()));
      } else {
        AppendHistogram(out, family.name, series.labels,
                        *std::get<std::unique_ptr<Histogram>>(series.metric));
      }
    }
  }
  return out;
}

}  // namespace holdfast::node
