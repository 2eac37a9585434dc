// API Priority and Fairness: obeys the cluster's FlowSchemas and PriorityLevelConfigurations (upstream: KEP-1040).
//
// A request is classified into a flow of a priority level, and takes seats of that level for as long as it is worked on. Where
// none is free it waits in a queue that it shares with few other flows, or is refused. Nobody waits inside a call: enter()
// answers at once, and who waits is called back when seats become free, which the ends of other requests make, or when the
// time is over. So a request that waits holds no thread, and requests that run never wait for one that does; no order of
// them can lock up.
//
//   auto ticket = flow->classify(question);
//   switch (ticket->enter(resume)) { ... }    // kWaiting: resume() is called later, exactly once; then ask state()
//   ticket.reset();                           // gives the seats back
//
// Thread-safe, but for one Ticket, which is its request's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "knarr/auth/authn.h"
#include "knarr/base/clock.h"
#include "knarr/store/store.h"

namespace knarr::flow {

// What a request is, for classification. Views and pointers are read during the call only.
struct Question {
  const auth::UserInfo* user = nullptr;
  std::string_view verb, group, resource, subresource, ns, path;
  bool resource_request = false;
  // How many seats it takes when it may have at most so many; none: one.
  std::function<int(int most)> width = {};
};

class Ticket {
 public:
  enum class State { kRunning, kWaiting, kRefused };
  virtual ~Ticket() = default;  // gives back its seats, or its place

  // Once. kWaiting: `resume` will be called exactly once from another thread, perhaps before this returns (so that the Ticket
  // may be gone by then); without `resume` it is refused rather than made to wait.
  virtual State enter(std::function<void()> resume, milliseconds patience) = 0;
  virtual State state() const = 0;
  // Of the objects that it was classified by, "" before they are made. Valid as long as the Ticket.
  virtual const std::string& schema_uid() const = 0;
  virtual const std::string& level_uid() const = 0;
  // Names its flow; 0 for requests that nothing limits.
  virtual uint32_t lane() const = 0;
  // For who was refused: seconds after which to come again.
  virtual int retry_after() const = 0;
};

struct Options {
  store::Store* store = nullptr;
  const Clock* clock = &Clock::system();
  int seats = 600;      // of the server
  bool expires = true;  // by a thread of its own, begun when somebody waits; else only by FlowControl::expire
};

class FlowControl {
 public:
  static std::unique_ptr<FlowControl> make(Options options);
  virtual ~FlowControl() = default;  // open(); Tickets must be gone

  virtual std::unique_ptr<Ticket> classify(const Question& question) = 0;
  // Ends the waiting of those whose time is over. Answers when the next one's is; none: MonoTime::max().
  virtual MonoTime expire() = 0;
  // Lets in all who wait, and from now on everybody.
  virtual void open() = 0;
  // For /metrics.
  virtual std::string metrics() const = 0;
};

}  // namespace knarr::flow
