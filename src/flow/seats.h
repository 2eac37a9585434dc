// How the server's seats are shared among priority levels: what each is due, and what it lends to others that need more.
#pragma once

#include <limits>
#include <span>
#include <vector>

#include "knarr/base/clock.h"

namespace knarr::flow {

inline double seconds_between(MonoTime from, MonoTime to) { return std::chrono::duration<double>(to - from).count(); }

// What a level is due by its shares, and the bounds of what it has after lending and borrowing.
struct SeatBounds {
  int nominal = 0, min = 0, max = 0;
  friend bool operator==(const SeatBounds&, const SeatBounds&) = default;
};
struct Shares {
  int shares = 0, lendable_percent = 0;
  int borrowing_percent = -1;  // -1: as much as there is
};
SeatBounds seat_bounds(const Shares& level, double all_shares, int server_seats);

// How many seats of a level are wanted, over time.
class Demand {
 public:
  void set(int seats, MonoTime now);
  struct Results {
    double average = 0, deviation = 0;
    int peak = 0;
    double seconds = 0;
  };
  Results take(MonoTime now);  // since the last time

 private:
  void advance(MonoTime now);
  int seats_ = 0, peak_ = 0;
  MonoTime last_{};
  double seconds_ = 0, sum_ = 0, sum_of_squares_ = 0;
};

// One level of those among which seats are lent and borrowed.
struct Borrower {
  bool exempt = false;
  SeatBounds bounds;
  int peak = 0;           // of the last period's demand
  double smoothed = 0;    // demand over some time
};
// The seats that each may use from now on.
std::vector<int> lend_seats(std::span<const Borrower> levels);

// The demand that borrowing goes by: at once as high as it was, and falling slowly (by half in five minutes).
double smoothed_demand(double smoothed, const Demand::Results& latest);

inline constexpr seconds kLendingPeriod{10};

}  // namespace knarr::flow
