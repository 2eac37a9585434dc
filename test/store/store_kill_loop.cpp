// store_kill_loop [KILLS [SEED]]: kill -9 of a process (store_writer, beside this program) that writes to the store
// with several threads, again and again. After each: the file opens, every answered write is there with its value,
// nothing else is but what was under way, and no revision was used twice or goes back; watches resume where nothing can
// have been lost.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <sstream>

#include "knarr/store/journal.h"
#include "store/workload.h"

using namespace knarr;
using namespace knarr::store;
using namespace knarr::store::test;

namespace {

constexpr uint64_t kOperationsPerRound = 1'000'000;

int failures = 0;

template <typename... Args>
void fail(int round, const char* format, const Args&... args) {
  ++failures;
  std::fprintf(stderr, "round %d: %s\n", round, fmt::format(fmt::runtime(format), args...).c_str());
}

struct Known {
  uint64_t revision = 0;
  std::string text;
};
struct Found {
  std::map<std::string, Known> pods;
  uint64_t revision = 0;  // the store's, or the journal's reservation
};

// What was answered so far, over all rounds.
struct Answered {
  std::map<std::string, Known> pods;  // the writers' own keys
  uint64_t counters[kCounters] = {};
  uint64_t next[kWriters] = {};  // the operation of each writer that was under way
  uint64_t highest = 0, highest_durable = 0, highest_lazy = 0;
  size_t total = 0;

  void line(int round, const std::string& text) {
    std::istringstream in(text);
    char kind;
    uint64_t a = 0, b = 0, revision = 0;
    in >> kind;
    switch (kind) {
      case 'O':
        in >> revision;
        if (revision < highest) fail(round, "opened at revision {}, but {} was seen before", revision, highest);
        break;
      case 'W': {
        in >> a >> b >> revision;
        next[a] = b + 1;
        const Operation op = operation(static_cast<int>(a), b);
        if (op.remove)
          pods.erase(op.key);
        else
          pods[op.key] = {revision, op.text};
        break;
      }
      case 'C':
        in >> a >> b >> revision;
        counters[a] = std::max(counters[a], b);
        break;
      case 'L':
        in >> a >> revision;
        highest_lazy = std::max(highest_lazy, revision);
        break;
      default:
        return fail(round, "the writer said: {}", text);
    }
    ++total;
    if (kind != 'L' && kind != 'O') highest_durable = std::max(highest_durable, revision);
    highest = std::max(highest, revision);
  }
};

// Runs the writer, kills it so many microseconds after its first answer, and takes down what it was answered.
void run_and_kill(const char* writer, const std::string& file, int round, int microseconds, Answered& answered) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  const std::string first = std::to_string(round * kOperationsPerRound);
  for (uint64_t& n : answered.next) n = round * kOperationsPerRound;
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::execl(writer, writer, file.c_str(), first.c_str(), nullptr);
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string rest;
  char buffer[65536];
  bool killed = false;
  std::optional<std::chrono::steady_clock::time_point> end;  // from the first answer on
  for (;;) {
    const ssize_t n = ::read(ends[0], buffer, sizeof buffer);
    if (n <= 0) break;
    const auto now = std::chrono::steady_clock::now();
    if (!end) end = now + std::chrono::microseconds(microseconds);
    if (!killed && now >= *end) killed = ::kill(child, SIGKILL) == 0;
    rest.append(buffer, static_cast<size_t>(n));
    size_t begin = 0;
    for (size_t at; (at = rest.find('\n', begin)) != rest.npos; begin = at + 1)
      answered.line(round, rest.substr(begin, at - begin));
    rest.erase(0, begin);
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSIGNALED(status)) fail(round, "the writer ended by itself with status {}", status);
}

// What is in the file, read so that nothing is written: the next start finds it as the kill left it.
Found read_journal(int round, const std::string& file) {
  Found found;
  auto journal = open_sqlite_journal({.path = file});
  if (!journal.ok()) {
    fail(round, "{}", journal.status().to_string());
    return found;
  }
  auto state = (*journal)->replay([&](const Record& r) {
    if (!r.deleted && r.resource == kPods) found.pods[std::string(r.key)] = {r.revision, std::string(text_of(r.value))};
  });
  if (!state.ok()) fail(round, "{}", state.status().to_string());
  if (state.ok()) found.revision = state->revision;
  return found;
}

// The same through a store, with what watches must answer.
Found read_store(int round, const std::string& file, const Answered& answered) {
  Found found;
  auto journal = open_sqlite_journal({.path = file, .deletions_kept = 200});
  auto store = journal.ok() ? Store::open(std::move(*journal), {}) : Result<std::unique_ptr<Store>>(journal.status());
  if (!store.ok()) {
    fail(round, "{}", store.status().to_string());
    return found;
  }
  const ResourceId pods = (*store)->resource(kPods), leases = (*store)->resource(kLeases);
  const ListResult all = *(*store)->list(pods, {});
  for (const ObjectPtr& o : all.objects) found.pods[o->key] = {o->revision, std::string(text_of(o->value))};
  found.revision = (*store)->revision();
  if (answered.highest_durable > 0) {
    auto cursor = (*store)->watch(pods, answered.highest_durable);
    std::vector<EventPtr> events;
    if (!cursor.ok() || !(*cursor)->next(1000, events).ok())
      fail(round, "no watch from {}: {}", answered.highest_durable, cursor.status().to_string());
    if (events.size() > kWriters + 2 * kCounters) fail(round, "{} events that nobody was told of", events.size());
  }
  if (answered.highest_lazy > 0 && (*store)->watch(leases, answered.highest_lazy).ok())
    fail(round, "a watch on lazily written objects from {} before the kill goes on", answered.highest_lazy);
  return found;
}

void verify(int round, Found found, Answered& answered) {
  if (found.revision < answered.highest)
    fail(round, "revision {} after the kill, {} before", found.revision, answered.highest);
  for (int c = 0; c < kCounters; ++c) {
    const Known counter = found.pods[fmt::format("counter/{}", c)];
    const uint64_t value = std::strtoull(counter.text.c_str(), nullptr, 10);
    if (value < answered.counters[c] || value > answered.counters[c] + 2)
      fail(round, "counter {} is {}, {} was answered", c, value, answered.counters[c]);
    answered.counters[c] = value;  // what was under way may have been carried out
    found.pods.erase(fmt::format("counter/{}", c));
  }
  // So may the writers' own; take it as it is.
  for (int w = 0; w < kWriters; ++w) {
    const Operation op = operation(w, answered.next[w]);
    auto it = found.pods.find(op.key);
    if (op.remove && it == found.pods.end()) answered.pods.erase(op.key);
    if (!op.remove && it != found.pods.end() && it->second.text == op.text) answered.pods[op.key] = it->second;
  }
  for (const auto& [key, known] : answered.pods) {
    auto it = found.pods.find(key);
    if (it == found.pods.end())
      fail(round, "{} is lost, it was answered with revision {}", key, known.revision);
    else if (it->second.text != known.text || it->second.revision != known.revision)
      fail(round, "{} is at revision {}, revision {} was answered", key, it->second.revision, known.revision);
  }
  for (const auto& [key, known] : found.pods)
    if (!answered.pods.count(key))
      fail(round, "{} is there at revision {}, but its deletion was answered", key, known.revision);
}

}  // namespace

int main(int argc, char** argv) {
  const int kills = argc > 1 ? std::atoi(argv[1]) : 20;
  std::mt19937 random(argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1);
  const std::string writer = std::filesystem::read_symlink("/proc/self/exe").replace_filename("store_writer");
  std::string directory = (std::filesystem::temp_directory_path() / "knarr-kill-XXXXXX").string();
  if (!::mkdtemp(directory.data())) return 1;
  const std::string file = directory + "/state.db";
  Answered answered;
  for (int round = 1; round <= kills && failures == 0; ++round) {
    run_and_kill(writer.c_str(), file, round, static_cast<int>(random() % 60'000), answered);
    verify(round, round % 2 ? read_journal(round, file) : read_store(round, file, answered), answered);
  }
  std::printf("store_kill_loop: %d kills, %zu answers, highest revision %llu, %d failures\n", kills, answered.total,
              static_cast<unsigned long long>(answered.highest), failures);
  if (failures == 0)
    std::filesystem::remove_all(directory);
  else
    std::printf("the file is kept: %s\n", file.c_str());
  return failures ? 1 : 0;
}
