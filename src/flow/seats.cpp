#include "flow/seats.h"

#include <algorithm>
#include <cmath>

namespace knarr::flow {

namespace {

constexpr double kSmoothing = 0.977;    // what is kept of the old figure over a period
constexpr double kLeastTarget = 0.001;  // so that it may be divided by

struct Part {
  double target, low, high;
};

double parts_sum(std::span<const Part> parts, double factor) {
  double sum = 0;
  for (const Part& p : parts) sum += std::clamp(factor * p.target, p.low, p.high);
  return sum;
}

// The factor with which the targets, each kept in its bounds, sum up to `wanted`. The sum grows with the factor, in straight
// lines between the factors at which one of them meets a bound.
double fair_factor(std::span<const Part> parts, double wanted) {
  std::vector<double> bends;
  for (const Part& p : parts) {
    bends.push_back(p.low / p.target);
    bends.push_back(p.high / p.target);
  }
  std::sort(bends.begin(), bends.end());
  double before = 0, sum_before = parts_sum(parts, 0);
  for (const double bend : bends) {
    const double sum = parts_sum(parts, bend);
    if (sum >= wanted) return sum > sum_before ? before + (bend - before) * (wanted - sum_before) / (sum - sum_before) : bend;
    before = bend;
    sum_before = sum;
  }
  return before;
}

int floor_of(const Borrower& level) { return std::max(level.bounds.min, std::min(level.bounds.nominal, level.peak)); }

}  // namespace

SeatBounds seat_bounds(const Shares& level, double all_shares, int server_seats) {
  SeatBounds out;
  out.nominal = all_shares > 0 ? static_cast<int>(std::ceil(server_seats * static_cast<double>(level.shares) / all_shares)) : 0;
  out.min = out.nominal - static_cast<int>(std::round(out.nominal * level.lendable_percent / 100.0));
  const double borrowed =
      level.borrowing_percent < 0 ? server_seats : std::round(out.nominal * static_cast<double>(level.borrowing_percent) / 100.0);
  out.max = static_cast<int>(std::min(out.nominal + borrowed, 1e9));
  return out;
}

void Demand::advance(MonoTime now) {
  if (last_ == MonoTime{}) last_ = now;
  if (now <= last_) return;
  const double passed = seconds_between(last_, now);
  last_ = now;
  seconds_ += passed;
  sum_ += passed * seats_;
  sum_of_squares_ += passed * seats_ * seats_;
}

void Demand::set(int seats, MonoTime now) {
  advance(now);
  seats_ = seats;
  peak_ = std::max(peak_, seats);
}

Demand::Results Demand::take(MonoTime now) {
  advance(now);
  Results out{.peak = peak_, .seconds = seconds_};
  if (seconds_ > 0) {
    out.average = sum_ / seconds_;
    out.deviation = std::sqrt(std::max(0.0, sum_of_squares_ / seconds_ - out.average * out.average));
  }
  peak_ = seats_;
  seconds_ = sum_ = sum_of_squares_ = 0;
  return out;
}

double smoothed_demand(double smoothed, const Demand::Results& latest) {
  if (latest.seconds <= 0) return smoothed;
  const double envelope = latest.average + latest.deviation;
  // A server without requests looks at this seldom, and then for several periods at once.
  const double periods = std::max(1.0, std::floor(latest.seconds / std::chrono::duration<double>(kLendingPeriod).count()));
  const double kept = std::pow(kSmoothing, periods);
  return std::max(envelope, kept * smoothed + (1 - kept) * envelope);
}

std::vector<int> lend_seats(std::span<const Borrower> levels) {
  int all = 0, left = 0, sum_of_min = 0, sum_of_floors = 0;
  for (const Borrower& level : levels) all += level.bounds.nominal;
  left = all;
  std::vector<Part> parts;
  for (const Borrower& level : levels) {
    if (level.exempt) {
      left -= std::max(level.bounds.min, level.peak);
      continue;
    }
    const int low = floor_of(level);
    sum_of_min += level.bounds.min;
    sum_of_floors += low;
    parts.push_back({std::max({static_cast<double>(low), level.smoothed, kLeastTarget}), static_cast<double>(low),
                     static_cast<double>(std::max(level.bounds.max, low))});
  }
  const bool short_of_min = left <= sum_of_min, short_of_floors = left <= sum_of_floors;
  const double factor = short_of_floors ? 0 : fair_factor(parts, all);
  const double fraction = short_of_min || sum_of_floors == sum_of_min ? 0 : double(left - sum_of_min) / (sum_of_floors - sum_of_min);
  std::vector<int> out;
  size_t next = 0;
  for (const Borrower& level : levels) {
    if (level.exempt) {
      out.push_back(std::max(level.bounds.min, level.peak));
    } else if (const Part& part = parts[next++]; short_of_min) {
      out.push_back(level.bounds.min);
    } else if (short_of_floors) {
      out.push_back(level.bounds.min + static_cast<int>(std::round((part.low - level.bounds.min) * fraction)));
    } else {
      out.push_back(static_cast<int>(std::round(std::clamp(factor * part.target, part.low, part.high))));
    }
  }
  return out;
}

}  // namespace knarr::flow
