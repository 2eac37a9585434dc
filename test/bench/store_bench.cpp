// store_bench [SECONDS]: rates of the store over SQLite in the temporary directory, with p50 and p99 of a call, and the
// memory that objects take. One line a figure.
#include <fmt/format.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "knarr/store/journal.h"
#include "knarr/store/store.h"

using namespace knarr;
using namespace knarr::store;
using Clock = std::chrono::steady_clock;

namespace {

double seconds_of(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

size_t allocated_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

void require(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "store_bench: %s\n", status.to_string().c_str());
  std::exit(1);
}

std::unique_ptr<Store> open_store(const std::string& path) {
  auto journal =
      path.empty() ? Result<std::unique_ptr<Journal>>(make_memory_journal()) : open_sqlite_journal({.path = path});
  require(journal.status());
  auto store = Store::open(std::move(*journal), {});
  require(store.status());
  return std::move(*store);
}

Write put(ResourceId resource, std::string key, size_t size) {
  Write w;
  w.resource = resource;
  w.key = std::move(key);
  w.value = R"({"metadata":{"resourceVersion":""}})";
  w.rev_pos = 32;
  w.value.append(size > w.value.size() ? size - w.value.size() : 0, ' ');
  return w;
}

// Calls body(thread, n) from each thread until the time is over, and prints the rate and the times of a call.
void measure(const char* name, int threads, double seconds, const std::function<void(int, int)>& body) {
  std::vector<std::vector<float>> times(static_cast<size_t>(threads));
  std::vector<std::thread> running;
  const double cpu = cpu_seconds();
  const auto begin = Clock::now();
  for (int t = 0; t < threads; ++t)
    running.emplace_back([&, t] {
      for (int n = 0; seconds_of(Clock::now() - begin) < seconds; ++n) {
        const auto start = Clock::now();
        body(t, n);
        times[static_cast<size_t>(t)].push_back(static_cast<float>(seconds_of(Clock::now() - start) * 1e6));
      }
    });
  for (std::thread& t : running) t.join();
  const double wall = seconds_of(Clock::now() - begin), used = cpu_seconds() - cpu;
  std::vector<float> all;
  for (const auto& part : times) all.insert(all.end(), part.begin(), part.end());
  std::sort(all.begin(), all.end());
  fmt::print("{:34} {:>10.0f} /s   p50 {:>8.1f} us   p99 {:>8.1f} us   cpu {:>6.1f} us\n", name,
             static_cast<double>(all.size()) / wall, all[all.size() / 2], all[all.size() * 99 / 100],
             used * 1e6 / static_cast<double>(all.size()));
}

void commit(Store& store, Write write, Durability durability = Durability::kDurable) {
  require(store.commit({&write, 1}, durability).status());
}

void fill(Store& store, ResourceId resource, int objects, size_t size) {
  std::vector<Write> writes;
  for (int i = 0; i < objects; ++i) {
    writes.push_back(put(resource, fmt::format("default/object-{}", i), size));
    if (writes.size() < 500 && i + 1 < objects) continue;
    require(store.commit(writes).status());
    writes.clear();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1.0;
  std::string directory = (std::filesystem::temp_directory_path() / "knarr-bench-XXXXXX").string();
  if (!mkdtemp(directory.data())) return 1;
  const std::string path = directory + "/state.db";
  {
    auto store = open_store(path);
    const ResourceId maps = store->resource("configmaps"), leases = store->resource("leases");
    for (int threads : {1, 8, 64}) {
      const auto before = store->stats();
      measure(fmt::format("commit 1 KB durable, {} writers", threads).c_str(), threads, seconds,
              [&](int t, int n) { commit(*store, put(maps, fmt::format("default/w{}-{}", t, n % 100), 1000)); });
      const auto after = store->stats();
      fmt::print("    {:.1f} commits an append\n", static_cast<double>(after.commits - before.commits) /
                                                       static_cast<double>(after.transactions - before.transactions));
    }
    measure("commit 400 B lazy, 1 writer", 1, seconds,
            [&](int, int) { commit(*store, put(leases, "kube-node-lease/n", 400), Durability::kLazy); });
  }
  {
    auto store = open_store("");
    const ResourceId maps = store->resource("configmaps");
    measure("commit 1 KB, memory journal", 1, seconds,
            [&](int, int n) { commit(*store, put(maps, fmt::format("default/o{}", n % 5000), 1000)); });
    fill(*store, maps, 5000, 1400);
    for (int threads : {1, 2})
      measure(fmt::format("get, {} readers", threads).c_str(), threads, seconds, [&](int t, int n) {
        if (!store->get(maps, fmt::format("default/object-{}", (n * 7 + t) % 5000))) std::abort();
      });
    const ResourceId pods = store->resource("pods");
    fill(*store, pods, 5000, 1400);
    measure("list 5000", 1, seconds, [&](int, int) {
      if (store->list(pods, {})->objects.size() != 5000) std::abort();
    });
    measure("list 500 of 5000", 1, seconds, [&](int, int) {
      if (!store->list(pods, {.limit = 500})->more) std::abort();
    });
    const Revision at = store->revision();
    for (int i = 0; i < 1000; ++i) commit(*store, put(pods, fmt::format("default/object-{}", i), 1400));
    measure("list 5000, 1000 changes ago", 1, seconds, [&](int, int) {
      if (store->list(pods, {.at = at})->objects.size() != 5000) std::abort();
    });
    for (int watchers : {100, 5000}) {
      std::vector<std::unique_ptr<Cursor>> cursors;
      for (int i = 0; i < watchers; ++i) cursors.push_back(std::move(*store->watch(pods, 0)));
      std::vector<EventPtr> events;
      measure(fmt::format("one event to {} watchers", watchers).c_str(), 1, seconds, [&](int, int n) {
        commit(*store, put(pods, fmt::format("default/object-{}", n % 5000), 1400));
        for (auto& cursor : cursors) {
          events.clear();
          require(cursor->next(64, events));
          if (events.size() != 1) std::abort();
        }
      });
    }
  }
  {
    const std::string large = directory + "/large.db";
    {
      auto store = open_store(large);
      fill(*store, store->resource("configmaps"), 100'000, 1000);
    }
    const size_t before = allocated_bytes();
    const auto begin = Clock::now();
    auto journal = open_sqlite_journal({.path = large});
    require(journal.status());
    const double verifying = seconds_of(Clock::now() - begin);
    auto store = Store::open(std::move(*journal), {});
    require(store.status());
    const double both = seconds_of(Clock::now() - begin);
    const auto memory = static_cast<double>(allocated_bytes() - before);
    fmt::print("100,000 objects of 1 KB: {:.0f} ms to verify, {:.0f} ms to load; {:.0f} bytes of memory each, value {:.0f}; file {} MB\n",
               verifying * 1e3, (both - verifying) * 1e3, memory / 1e5,
               static_cast<double>((*store)->stats().value_bytes) / 1e5, std::filesystem::file_size(large) >> 20);
  }
  std::filesystem::remove_all(directory);
}
