// Lists by label, with an index and without: what they answer does not depend on it.
#include <random>

#include "backend.h"
#include "store/label_index.h"

namespace knarr::store::test {
namespace {

using Keys = std::vector<std::string>;
using Labels = std::vector<std::pair<std::string, std::string>>;

Write labelled(Write write, Labels labels) {
  write.extract.labels = std::move(labels);
  return write;
}

bool has(const Object& object, const Labels& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    return std::find(object.extract.labels.begin(), object.extract.labels.end(), label) != object.extract.labels.end();
  });
}

// All objects, filtered by hand.
Keys expected(Store& store, ResourceId id, const ListOptions& options) {
  Keys out;
  ListOptions plain = options;
  plain.labels.clear();
  plain.limit = 0;
  for (const ObjectPtr& object : list(store, id, plain).objects)
    if (has(*object, options.labels)) out.push_back(object->key);
  return out;
}

TEST_CASE("a list by labels is exact while objects come, change and go") {
  Backend store("memory");
  const auto pods = store.id("pods");
  std::mt19937 random(7);
  const auto pick = [&](int below) { return static_cast<int>(random() % static_cast<unsigned>(below)); };
  const auto labels = [&] {
    Labels out;
    if (pick(10)) out.emplace_back("app", fmt::format("a{}", pick(3)));
    if (pick(2)) out.emplace_back("shard", fmt::format("s{}", pick(20)));
    return out;
  };
  Revision before = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::string key = fmt::format("{}/{}", pick(3), pick(400));
    const ObjectPtr old = store->get(pods, key);
    if (!old) {
      must(*store, labelled(create(pods, key, "x"), labels()));
    } else if (pick(3)) {
      must(*store, labelled(update(*old, "y"), pick(2) ? labels() : old->extract.labels));
    } else {
      must(*store, remove(pods, key));
    }
    if (round % 10) continue;
    ListOptions options;
    if (pick(2)) options.prefix = fmt::format("{}/", pick(4));
    if (pick(2)) options.labels.emplace_back("app", fmt::format("a{}", pick(4)));
    if (pick(2) || options.labels.empty()) options.labels.emplace_back("shard", fmt::format("s{}", pick(21)));
    if (pick(2)) options.start_after = fmt::format("{}/{}", pick(3), pick(400));
    if (!pick(4) && before) options.at = before;
    const Keys all = expected(*store, pods, options);
    REQUIRE(keys(list(*store, pods, options)) == all);
    options.limit = static_cast<size_t>(1 + pick(5));
    const ListResult page = list(*store, pods, options);
    REQUIRE(page.objects.size() == std::min(options.limit, all.size()));
    REQUIRE(page.remaining == all.size() - page.objects.size());
    before = store->revision();
  }
}

Slot slot(std::string key, Labels labels) {
  auto object = std::make_shared<Object>();
  object->key = std::move(key);
  object->extract.labels = std::move(labels);
  return {object};
}

TEST_CASE("an index of labels is let go when writes no longer pay for it, and for what is asked for more") {
  Objects objects;
  for (int i = 0; i < 100; ++i) objects.insert(slot(fmt::format("{:03}", i), {{"app", "web"}, {"n", std::to_string(i)}}));
  LabelIndex index;
  index.make("app", objects);
  CHECK(index.find("app", "web").size() == 100);
  CHECK(index.find("app", "none").empty());

  const Slot further = slot("999", {{"app", "web"}});
  for (int i = 0; i < 1000; ++i) {
    index.add(&further, *further.object);
    index.remove(&further, *further.object);
  }
  REQUIRE(index.has("app"));
  CHECK(index.find("app", "web").size() == 100);  // it was asked: its patience begins anew
  for (int i = 0; i < 1000; ++i) {
    index.add(&further, *further.object);
    index.remove(&further, *further.object);
  }
  CHECK(index.has("app"));
  for (int i = 0; i < 1000 && index.has("app"); ++i) {
    index.add(&further, *further.object);
    if (index.has("app")) index.remove(&further, *further.object);
  }
  CHECK_FALSE(index.has("app"));

  for (const char* key : {"app", "n", "x", "y"}) index.make(key, objects);
  CHECK_FALSE(index.has_room());
  index.make("z", objects);
  CHECK_FALSE(index.has("z"));
  for (int i = 0; i < 20; ++i) CHECK(index.find("n", "7").size() == 1);
  CHECK(index.has_room());
  index.make("z", objects);
  CHECK(index.has("z"));
  CHECK(index.has("n"));
}

}  // namespace
}  // namespace knarr::store::test
