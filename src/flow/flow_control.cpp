#include "knarr/flow/flow_control.h"

#include <algorithm>
#include <condition_variable>
#include <random>
#include <thread>

#include "flow/metrics.h"
#include "flow/ticket.h"
#include "knarr/base/log.h"
#include "knarr/schema/flow_defaults.h"

namespace knarr::flow {

namespace flowcontrol = api::flowcontrol::v1;

namespace {

constexpr std::string_view kStorageNames[] = {"flowschemas.flowcontrol.apiserver.k8s.io",
                                              "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"};
constexpr double kWidthOfSeats = 0.15;  // of a level's, that one request may have

uint64_t mixed(uint64_t x) {  // every bit of the result depends on every bit of x
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t hash_of(std::string_view text) { return std::hash<std::string_view>()(text); }

// A level that does not hang together is as good as none.
bool is_sound(const flowcontrol::PriorityLevelConfiguration& level) {
  const auto& spec = level.spec;
  if ((spec.type == "Limited") != spec.limited.has_value() || (spec.type == "Exempt") != spec.exempt.has_value()) return false;
  if ((spec.type == "Exempt") != (level.metadata.name == "exempt")) return false;
  if (!spec.limited) return true;
  const auto& response = spec.limited->limitResponse;
  return (response.type == "Reject") != response.queuing.has_value();
}

template <typename T>
Result<std::vector<T>> read_all(store::Store& store, store::ResourceId resource) {
  KNARR_ASSIGN(const store::ListResult listed, store.list(resource, {}));
  std::vector<T> out;
  for (const store::ObjectPtr& object : listed.objects) {
    if (auto decoded = api::decode_as<T>(object->value); decoded.ok()) out.push_back(std::move(*decoded));
  }
  return out;
}

template <typename T>
void add_mandatory(std::vector<T>& objects, const T* mandatory) {
  const auto& name = mandatory->metadata.name;
  if (std::none_of(objects.begin(), objects.end(), [&](const T& object) { return object.metadata.name == name; }))
    objects.push_back(*mandatory);
}

class FlowControlImpl final : public FlowControl {
 public:
  explicit FlowControlImpl(Options options) : options_(options) {
    shared_.clock = options.clock;
    shared_.note_deadline = [this](MonoTime when) { note_deadline(when); };
    for (size_t i = 0; i < std::size(resources_); ++i) resources_[i] = options.store->resource(kStorageNames[i]);
    listener_ = options.store->add_listener([this](std::span<const store::ResourceId> resources, store::Revision) {
      for (const store::ResourceId id : resources)
        if (id == resources_[0] || id == resources_[1]) changed_ = true;
    });
    refresh();
  }
  ~FlowControlImpl() override {
    options_.store->remove_listener(listener_);
    open();
    {
      Lock lock(timer_mutex_);
      timer_stop_ = true;
      timer_wanted_.notify_all();
    }
    if (timer_.joinable()) timer_.join();
  }

  std::unique_ptr<Ticket> classify(const Question& question) override;
  MonoTime expire() override;
  void open() override;
  std::string metrics() const override {
    ReadLock lock(mutex_);
    return metrics_text(levels_);
  }

 private:
  using LevelMap = std::map<std::string, std::shared_ptr<Level>>;

  void refresh();
  void read_levels(const std::vector<flowcontrol::PriorityLevelConfiguration>& objects) KNARR_REQUIRES(mutex_);
  void read_flows(std::vector<flowcontrol::FlowSchema> objects) KNARR_REQUIRES(mutex_);
  void lend(MonoTime now, Resumes& resumes) KNARR_REQUIRES(mutex_);
  void note_deadline(MonoTime when);
  void run_timer();

  const Options options_;
  const uint64_t seed_ = std::random_device{}();
  Shared shared_;
  store::ResourceId resources_[2];
  uint64_t listener_ = 0;
  std::atomic<bool> changed_{true};
  std::atomic<MonoTime> next_lending_{MonoTime{}};

  mutable SharedMutex mutex_;  // the configuration
  LevelMap levels_ KNARR_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<const Flow>> flows_ KNARR_GUARDED_BY(mutex_);  // the first that matches counts

  Mutex timer_mutex_;
  std::condition_variable_any timer_wanted_;
  std::thread timer_ KNARR_GUARDED_BY(timer_mutex_);
  MonoTime timer_next_ KNARR_GUARDED_BY(timer_mutex_) = MonoTime::max();
  bool timer_stop_ KNARR_GUARDED_BY(timer_mutex_) = false;
};

void FlowControlImpl::refresh() {
  const MonoTime now = options_.clock->mono();
  if (!changed_.load(std::memory_order_relaxed) && now < next_lending_.load(std::memory_order_relaxed)) return;
  Resumes resumes;
  {
    WriteLock lock(mutex_);
    // Cleared before reading: what comes meanwhile sets it again.
    if (changed_.exchange(false)) {
      auto levels = read_all<flowcontrol::PriorityLevelConfiguration>(*options_.store, resources_[1]);
      auto flows = read_all<flowcontrol::FlowSchema>(*options_.store, resources_[0]);
      if (levels.ok() && flows.ok()) {
        std::erase_if(*levels, [](const auto& level) { return !is_sound(level); });
        for (const char* name : {"exempt", "catch-all"}) add_mandatory(*levels, schema::mandatory_priority_level(name));
        for (const char* name : {"exempt", "catch-all"}) add_mandatory(*flows, schema::mandatory_flow_schema(name));
        read_levels(*levels);
        read_flows(std::move(*flows));
      } else {
        log::error("flow", "priority levels cannot be read; the last ones hold", {{"error", levels.ok() ? flows.status() : levels.status()}});
      }
    } else if (now < next_lending_.load()) {
      return;  // somebody else did it
    }
    lend(now, resumes);
    next_lending_ = now + kLendingPeriod;
  }
  for (const auto& wake : resumes) wake();
}

void FlowControlImpl::read_levels(const std::vector<flowcontrol::PriorityLevelConfiguration>& objects) {
  for (auto& [name, level] : levels_) level->wanted = false;
  for (const auto& object : objects) {
    auto& level = levels_[object.metadata.name];
    if (!level) level = std::make_shared<Level>(object.metadata.name);
    level->wanted = true;
    level->uid = object.metadata.uid;
    level->shares = {};
    level->limits = {};
    if (const auto& limited = object.spec.limited) {
      level->shares = {limited->nominalConcurrencyShares.value_or(0), limited->lendablePercent.value_or(0),
                       limited->borrowingLimitPercent.value_or(-1)};
      if (const auto& queuing = limited->limitResponse.queuing)
        level->limits = {queuing->queues, queuing->handSize, queuing->queueLengthLimit, false};
    } else {
      level->shares = {object.spec.exempt->nominalConcurrencyShares.value_or(0), object.spec.exempt->lendablePercent.value_or(0), -1};
      level->limits.exempt = true;
    }
  }
  std::erase_if(levels_, [](const auto& item) {
    Lock lock(item.second->mutex);
    return !item.second->wanted && item.second->queues.idle();
  });
  double sum = 0;
  for (const auto& [name, level] : levels_) sum += level->shares.shares;
  for (auto& [name, level] : levels_) {
    level->bounds = seat_bounds(level->shares, sum, options_.seats);
    const double most = std::min(std::ceil(level->bounds.nominal * kWidthOfSeats),
                                 std::floor(level->bounds.nominal / static_cast<double>(std::max(level->limits.hand_size, 1))));
    level->max_width = level->limits.queues > 0 ? static_cast<int>(std::max(1.0, most)) : 0;
  }
}

void FlowControlImpl::read_flows(std::vector<flowcontrol::FlowSchema> objects) {
  std::stable_sort(objects.begin(), objects.end(), [](const auto& a, const auto& b) {
    return std::tie(a.spec.matchingPrecedence, a.metadata.name) < std::tie(b.spec.matchingPrecedence, b.metadata.name);
  });
  flows_.clear();
  for (const auto& object : objects) {
    const auto found = levels_.find(object.spec.priorityLevelConfiguration.name);
    if (found == levels_.end() || !found->second->wanted) continue;  // dangling
    const std::shared_ptr<Level>& level = found->second;
    FlowCounts* counts = nullptr;
    {
      Lock lock(level->mutex);
      counts = &level->flows[object.metadata.name];
    }
    flows_.push_back(std::make_shared<const Flow>(Flow{Matcher(object.spec), object.metadata.uid, level->uid, level,
                                                       counts, mixed(seed_ ^ hash_of(object.metadata.name)), level->limits.exempt,
                                                       level->limits.queues > 0, level->max_width}));
  }
}

void FlowControlImpl::lend(MonoTime now, Resumes& resumes) {
  std::vector<Borrower> borrowers;
  for (auto& [name, level] : levels_) {
    Lock lock(level->mutex);
    const Demand::Results demand = level->demand.take(now);
    level->smoothed = smoothed_demand(level->smoothed, demand);
    borrowers.push_back({level->limits.exempt, level->bounds, demand.peak, level->smoothed});
  }
  const std::vector<int> seats = lend_seats(borrowers);
  size_t next = 0;
  for (auto& [name, level] : levels_) {
    level->seats = seats[next++];
    FairQueues::Started started;
    Lock lock(level->mutex);
    level->queues.configure(level->limits, level->seats, now, started);
    level->let_in(started, now, resumes);
  }
}

std::unique_ptr<Ticket> FlowControlImpl::classify(const Question& question) {
  refresh();
  ReadLock lock(mutex_);
  // The last one takes all users that there are; were there others, they would be its as well.
  auto flow = std::find_if(flows_.begin(), flows_.end(), [&](const auto& item) { return item->matcher.matches(question); });
  if (flow == flows_.end()) --flow;
  const Flow& found = **flow;
  const uint64_t hash = mixed(found.seed + hash_of(found.matcher.distinguisher(question)));
  const int width = question.width && !found.exempt ? std::max(1, question.width(found.max_width)) : 1;
  return std::make_unique<TicketImpl>(shared_, *flow, hash, width);
}

MonoTime FlowControlImpl::expire() {
  MonoTime next = MonoTime::max();
  Resumes resumes;
  {
    ReadLock lock(mutex_);
    const MonoTime now = options_.clock->mono();
    for (const auto& [name, level] : levels_) {
      Lock level_lock(level->mutex);
      while (!level->waiting.empty() && level->waiting.begin()->first <= now) {
        FairQueues::Started started;  // one that was wide may have held up others
        resumes.push_back(level->waiting.begin()->second->time_out(*level, now, started));
        level->let_in(started, now, resumes);
      }
      level->demand.set(level->queues.seats_wanted(), now);
      if (!level->waiting.empty()) next = std::min(next, level->waiting.begin()->first);
    }
  }
  for (const auto& wake : resumes) wake();
  return next;
}

void FlowControlImpl::open() {
  Resumes resumes;
  {
    ReadLock lock(mutex_);
    shared_.open = true;
    const MonoTime now = options_.clock->mono();
    for (const auto& [name, level] : levels_) {
      Lock level_lock(level->mutex);
      while (!level->waiting.empty()) {
        TicketImpl& ticket = *level->waiting.begin()->second;
        FairQueues::Started started;
        level->queues.finish(ticket, now, started);
        resumes.push_back(ticket.let_in(*level, now, false));
        level->let_in(started, now, resumes);
      }
    }
  }
  for (const auto& wake : resumes) wake();
}

void FlowControlImpl::note_deadline(MonoTime when) {
  if (!options_.expires) return;
  Lock lock(timer_mutex_);
  if (when >= timer_next_ || timer_stop_) return;
  timer_next_ = when;
  if (!timer_.joinable()) timer_ = std::thread([this] { run_timer(); });
  timer_wanted_.notify_one();
}

void FlowControlImpl::run_timer() {
  Lock lock(timer_mutex_);
  while (!timer_stop_) {
    if (timer_next_ == MonoTime::max()) {
      timer_wanted_.wait(lock);
    } else if (const MonoTime until = timer_next_; options_.clock->mono() < until) {
      timer_wanted_.wait_until(lock, until);
    } else {
      timer_next_ = MonoTime::max();
      lock.unlock();
      const MonoTime next = expire();
      lock.lock();
      timer_next_ = std::min(timer_next_, next);
    }
  }
}

}  // namespace

std::unique_ptr<FlowControl> FlowControl::make(Options options) { return std::make_unique<FlowControlImpl>(options); }

}  // namespace knarr::flow
