#include "flow/metrics.h"

#include <fmt/format.h>

namespace knarr::flow {

namespace {

constexpr std::string_view kPrefix = "apiserver_flowcontrol_";

struct Row {
  std::string level, flow;
  FlowCounts counts;
};

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {0}{1} {2}\n# TYPE {0}{1} {3}\n", kPrefix, name, help, type);
}

void wait_times(std::string& out, const Row& row, const WaitTimes& times, bool served) {
  constexpr std::string_view kName = "request_wait_duration_seconds";
  const std::string labels = fmt::format("execute=\"{}\",flow_schema=\"{}\",priority_level=\"{}\"", served, row.flow, row.level);
  if (times.count == 0) return;
  for (size_t i = 0; i < times.counts.size(); ++i)
    out += fmt::format("{}{}_bucket{{{},le=\"{}\"}} {}\n", kPrefix, kName, labels, WaitTimes::kBounds[i], times.counts[i]);
  out += fmt::format("{}{}_bucket{{{},le=\"+Inf\"}} {}\n", kPrefix, kName, labels, times.count);
  out += fmt::format("{0}{1}_sum{{{2}}} {3}\n{0}{1}_count{{{2}}} {4}\n", kPrefix, kName, labels, times.sum, times.count);
}

}  // namespace

std::string metrics_text(const std::map<std::string, std::shared_ptr<Level>>& levels) {
  std::vector<Row> rows;
  for (const auto& [name, level] : levels) {
    Lock lock(level->mutex);
    for (const auto& [flow, counts] : level->flows)
      if (counts.dispatched + counts.queue_full + counts.no_seat + counts.timed_out > 0 || counts.waiting > 0) rows.push_back({name, flow, counts});
  }
  std::string out;
  const auto of_flows = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    head(out, name, type, help);
    for (const Row& row : rows)
      out += fmt::format("{}{}{{flow_schema=\"{}\",priority_level=\"{}\"}} {}\n", kPrefix, name, row.flow, row.level, value(row.counts));
  };
  const auto of_levels = [&](std::string_view name, std::string_view help, auto value) {
    head(out, name, "gauge", help);
    for (const auto& [level_name, level] : levels) out += fmt::format("{}{}{{priority_level=\"{}\"}} {}\n", kPrefix, name, level_name, value(*level));
  };
  of_flows("dispatched_requests_total", "counter", "Requests that were let in.", [](const FlowCounts& c) { return c.dispatched; });
  of_flows("current_executing_requests", "gauge", "Requests that are worked on.", [](const FlowCounts& c) { return c.running; });
  of_flows("current_executing_seats", "gauge", "Seats that they take.", [](const FlowCounts& c) { return c.seats; });
  of_flows("current_inqueue_requests", "gauge", "Requests that wait in queues.", [](const FlowCounts& c) { return c.waiting; });
  head(out, "rejected_requests_total", "counter", "Requests that were refused.");
  for (const Row& row : rows) {
    const std::pair<std::string_view, uint64_t> reasons[] = {
        {"concurrency-limit", row.counts.no_seat}, {"queue-full", row.counts.queue_full}, {"time-out", row.counts.timed_out}};
    for (const auto& [reason, count] : reasons) {
      if (count == 0) continue;
      out += fmt::format("{}rejected_requests_total{{flow_schema=\"{}\",priority_level=\"{}\",reason=\"{}\"}} {}\n", kPrefix, row.flow,
                         row.level, reason, count);
    }
  }
  head(out, "request_wait_duration_seconds", "histogram", "Time that requests waited in queues.");
  for (const Row& row : rows) {
    wait_times(out, row, row.counts.served, true);
    wait_times(out, row, row.counts.refused, false);
  }
  of_levels("nominal_limit_seats", "Seats that a level is due.", [](const Level& l) { return l.bounds.nominal; });
  of_levels("lower_limit_seats", "Seats that it keeps when it lends all it may.", [](const Level& l) { return l.bounds.min; });
  of_levels("upper_limit_seats", "Seats that it has when it borrows all it may.", [](const Level& l) { return l.bounds.max; });
  of_levels("current_limit_seats", "Seats that it has now.", [](const Level& l) { return l.seats; });
  return out;
}

}  // namespace knarr::flow
