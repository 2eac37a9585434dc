// store_writer FILE FIRST: writes to the store in FILE with several threads until it is killed, and tells on standard
// output what was answered, one line each, only after it was:
//   O <revision>                 opened
//   W <writer> <n> <revision>    operation(writer, n) was carried out; 0: there was nothing to remove
//   C <counter> <value> <revision>
//   L <n> <revision>             a lazy write
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "knarr/store/journal.h"
#include "store/workload.h"

using namespace knarr;
using namespace knarr::store;
using namespace knarr::store::test;

namespace {

// One write(2) a line: what was told is in the pipe, whatever happens next.
template <typename... Args>
void tell(const char* format, Args... args) {
  const std::string line = fmt::format(fmt::runtime(format), args...);
  if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) _exit(3);
}

[[noreturn]] void die(const Status& status) {
  std::fprintf(stderr, "store_writer: %s\n", status.to_string().c_str());
  _exit(2);
}

Result<ObjectPtr> commit1(Store& store, Write write, Durability durability = Durability::kDurable) {
  auto result = store.commit({&write, 1}, durability);
  if (!result.ok()) return result.status();
  return result->front();
}

void write_own(Store& store, ResourceId pods, int writer, uint64_t n) {
  for (;; ++n) {
    Operation op = operation(writer, n);
    Write write = make_put(pods, op.key, op.text);
    if (op.remove) {
      write.op = Write::Op::kDelete;
      write.value.clear();
    }
    const auto result = commit1(store, std::move(write));
    if (!result.ok() && !result.status().is(reason::kNotFound)) die(result.status());
    tell("W {} {} {}\n", writer, n, result.ok() ? (*result)->revision : 0);
  }
}

void count_up(Store& store, ResourceId pods, int counter) {
  const std::string key = fmt::format("counter/{}", counter);
  for (;;) {
    const ObjectPtr now = store.get(pods, key);
    const uint64_t value = now ? std::strtoull(std::string(text_of(now->value)).c_str(), nullptr, 10) : 0;
    Write write = make_put(pods, key, std::to_string(value + 1));
    write.expect = now ? Write::Expect::kRevision : Write::Expect::kAbsent;
    write.expected = now ? now->revision : 0;
    const auto result = commit1(store, std::move(write));
    if (result.ok())
      tell("C {} {} {}\n", counter, value + 1, (*result)->revision);
    else if (result.status().code() != 409)
      die(result.status());
  }
}

void write_lazily(Store& store, ResourceId leases, uint64_t n) {
  for (;; ++n) {
    const auto result = commit1(store, make_put(leases, "node", std::to_string(n)), Durability::kLazy);
    if (!result.ok()) die(result.status());
    tell("L {} {}\n", n, (*result)->revision);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  const uint64_t first = std::strtoull(argv[2], nullptr, 10);
  // Small numbers, so that checkpoints and flushes are often under way when the kill comes.
  auto journal = open_sqlite_journal({.path = argv[1], .deletions_kept = 200, .checkpoint_pages = 64});
  if (!journal.ok()) die(journal.status());
  Store::Options options;
  options.lazy_flush = std::chrono::milliseconds(5);
  auto store = Store::open(std::move(*journal), options);
  if (!store.ok()) die(store.status());
  tell("O {}\n", (*store)->revision());
  const ResourceId pods = (*store)->resource(kPods), leases = (*store)->resource(kLeases);
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) threads.emplace_back([&, w] { write_own(**store, pods, w, first); });
  for (int c = 0; c < kCounters * 2; ++c) threads.emplace_back([&, c] { count_up(**store, pods, c % kCounters); });
  threads.emplace_back([&] { write_lazily(**store, leases, first); });
  for (std::thread& t : threads) t.join();
}
