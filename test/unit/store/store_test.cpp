// Commits and reads, on every journal.
#include "unit/store/backend.h"

using namespace knarr;
using namespace knarr::store;
using namespace knarr::store::test;
using Strings = std::vector<std::string>;

TEST_CASE("an empty store is at revision 1 and knows nothing") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods");
  CHECK(store->resource("pods") == pods);
  CHECK(store->resource_name(pods) == "pods");
  CHECK(store->revision() == 1);
  CHECK(store->get(pods, "default/a") == nullptr);
  CHECK(list(*store, pods).revision == 1);
  CHECK(store->count(pods) == 0);
  store.reopen();
  CHECK(store->revision() == 1);
}

TEST_CASE("a put is numbered, and its bytes hold the number") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods");
  const ObjectPtr a = must(*store, create(pods, "default/a", "one"));
  CHECK(a->revision == 2);
  CHECK(a->create_revision == 2);
  CHECK(a->value == "rev=2;one");
  CHECK(a->value.capacity() < a->value.size() + 16);
  CHECK(store->get(pods, "default/a") == a);
  const ObjectPtr b = must(*store, update(*a, "two"));
  CHECK(b->revision == 3);
  CHECK(b->create_revision == 2);
  CHECK(store->revision() == 3);
  CHECK(a->value == "rev=2;one");  // who has the old one keeps it
  const ObjectPtr gone = must(*store, remove(pods, "default/a"));
  CHECK(gone->value == "rev=4;two");
  CHECK(gone->create_revision == 2);
  CHECK(store->get(pods, "default/a") == nullptr);
  CHECK(store->stats().objects == 0);
  CHECK(store->stats().value_bytes == 0);
}

TEST_CASE("a deletion shows the last state it is given") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods");
  must(*store, create(pods, "default/a", "one"));
  Write w = remove(pods, "default/a");
  w.value = "rev=;terminated";
  w.rev_pos = 4;
  CHECK(must(*store, std::move(w))->value == "rev=3;terminated");
}

TEST_CASE("expectations are checked against the head") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods");
  const ObjectPtr a = must(*store, create(pods, "default/a", "one"));
  auto refuse = [&](Write w, int code, std::string_view reason) {
    const auto result = commit1(*store, std::move(w));
    REQUIRE_FALSE(result.ok());
    CHECK(result.status().code() == code);
    CHECK(result.status().reason() == reason);
    CHECK(result.status().message().find("pods \"default/") != std::string::npos);
  };
  refuse(create(pods, "default/a", "again"), 409, reason::kAlreadyExists);
  refuse(remove(pods, "default/none"), 404, reason::kNotFound);
  Write stale = update(*a, "stale");
  stale.expected = 1;
  refuse(stale, 409, reason::kConflict);
  stale.op = Write::Op::kDelete;
  refuse(stale, 409, reason::kConflict);
  Write none = update(*a, "none");
  none.key = "default/none";
  refuse(none, 404, reason::kNotFound);
  Write misplaced = put(pods, "default/a", "x");
  misplaced.rev_pos = 1000;
  refuse(misplaced, 500, reason::kInternalError);
  CHECK(store->revision() == a->revision);
  CHECK(store->get(pods, "default/a") == a);
}

TEST_CASE("a transaction applies all writes or none") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods"), nodes = store.id("nodes");
  must(*store, create(pods, "default/a", "one"));
  std::vector<Write> bad{put(pods, "default/a", "two"), create(nodes, "n", "x"), create(pods, "default/a", "again")};
  CHECK(store->commit(bad).status().is(reason::kAlreadyExists));
  CHECK(text_of(*store->get(pods, "default/a")) == "one");
  CHECK(store->get(nodes, "n") == nullptr);
  CHECK(store->revision() == 2);

  // Writes see those before them in the same transaction.
  std::vector<Write> good{remove(pods, "default/a"), create(pods, "default/a", "reborn"), create(nodes, "n", "x")};
  const auto done = store->commit(good);
  REQUIRE(done.ok());
  CHECK(done->size() == 3);
  CHECK((*done)[0]->value == "rev=3;one");
  CHECK((*done)[1]->value == "rev=4;reborn");
  CHECK((*done)[1]->create_revision == 4);
  CHECK((*done)[2]->revision == 5);
  store.reopen();
  CHECK(store->get(pods, "default/a")->value == "rev=4;reborn");
  CHECK(store->revision() == 5);

  CHECK(store->commit({}).ok());
  CHECK(store->revision() == 5);
}

TEST_CASE("lists are in key order, by prefix and in pages") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods");
  for (const char* key : {"b/2", "a/2", "ab/1", "a/1", "a/3", "c/1"}) must(*store, create(pods, key, key));
  CHECK(keys(list(*store, pods)) == Strings{"a/1", "a/2", "a/3", "ab/1", "b/2", "c/1"});
  CHECK(keys(list(*store, pods, {.prefix = "a/"})) == Strings{"a/1", "a/2", "a/3"});
  CHECK(keys(list(*store, pods, {.prefix = "x/"})).empty());

  ListResult page = list(*store, pods, {.prefix = "a/", .limit = 2});
  CHECK(keys(page) == Strings{"a/1", "a/2"});
  CHECK(page.more);
  CHECK(page.remaining == 1);
  page = list(*store, pods, {.prefix = "a/", .start_after = "a/2", .limit = 2});
  CHECK(keys(page) == Strings{"a/3"});
  CHECK_FALSE(page.more);
  CHECK(keys(list(*store, pods, {.start_after = "a/3", .limit = 2})) == Strings{"ab/1", "b/2"});
  CHECK(keys(list(*store, pods, {.prefix = "b/", .start_after = "a/9"})) == Strings{"b/2"});
}

TEST_CASE("a list can be of an older revision, as far as the ring reaches") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods"), nodes = store.id("nodes");
  const ObjectPtr a = must(*store, create(pods, "a", "a1"));
  must(*store, create(pods, "c", "c1"));
  const Revision at = store->revision();
  must(*store, update(*a, "a2"));
  must(*store, create(pods, "b", "b1"));
  must(*store, remove(pods, "c"));
  must(*store, create(pods, "d", "d1"));
  must(*store, create(nodes, "n", "n1"));

  ListResult then = list(*store, pods, {.at = at});
  CHECK(keys(then) == Strings{"a", "c"});
  CHECK(then.revision == at);
  CHECK(text_of(*then.objects[0]) == "a1");
  CHECK(keys(list(*store, pods, {.start_after = "a", .at = at})) == Strings{"c"});
  then = list(*store, pods, {.limit = 1, .at = at});
  CHECK(keys(then) == Strings{"a"});
  CHECK(then.remaining == 1);
  CHECK(keys(list(*store, pods, {.at = at + 2})) == Strings{"a", "b", "c"});
  CHECK(keys(list(*store, pods, {.at = store->revision()})) == Strings{"a", "b", "d"});
  CHECK(keys(list(*store, pods, {.at = 1})).empty());
  CHECK(store->list(pods, {.at = store->revision() + 1}).status().code() == 504);

  store.reopen();
  CHECK(store->list(pods, {.at = at}).status().is(reason::kExpired));
}

TEST_CASE("secondary indexes follow every change") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods");
  auto on = [&](std::string_view node) {
    Strings out;
    for (const ObjectPtr& o : store->list_index(pods, 1, node)) out.push_back(o->key);
    return out;
  };
  must(*store, create(pods, "b", "node=n1;"));
  must(*store, create(pods, "a", "node=n1;"));
  const ObjectPtr c = must(*store, create(pods, "c", "waiting"));
  CHECK(on("n1") == Strings{"a", "b"});
  must(*store, update(*c, "node=n1;"));
  must(*store, put(pods, "b", "node=n2;"));
  must(*store, put(pods, "a", "node=n1;other"));
  CHECK(on("n1") == Strings{"a", "c"});
  CHECK(text_of(*store->list_index(pods, 1, "n1")[0]) == "node=n1;other");
  CHECK(on("n2") == Strings{"b"});
  must(*store, remove(pods, "a"));
  CHECK(on("n1") == Strings{"c"});
  store.reopen();
  CHECK(on("n1") == Strings{"c"});
  CHECK(on("n2") == Strings{"b"});
  CHECK(on("n3").empty());
}

TEST_CASE("a restart finds everything as it was") {
  Backend store(GENERATE("memory", "sqlite"));
  const auto pods = store.id("pods"), maps = store.id("configmaps");
  std::string bytes("binary \0 bytes \x1f and more", 24);
  bytes.append(100'000, 'x');
  must(*store, create(pods, "default/a", "one"));
  must(*store, create(maps, "default/a", bytes));
  must(*store, put(pods, "default/a", "two"));
  must(*store, create(pods, "default/b", ""));
  must(*store, remove(pods, "default/b"));
  const auto before = store->stats();
  store.reopen();
  CHECK(store->revision() == 6);
  const ObjectPtr a = store->get(pods, "default/a");
  REQUIRE(a);
  CHECK(a->value == "rev=4;two");
  CHECK(a->revision == 4);
  CHECK(a->create_revision == 2);
  CHECK(a->rev_pos == 4);
  CHECK(text_of(*store->get(maps, "default/a")) == bytes);
  CHECK(store->count(pods) == 1);
  CHECK(store->stats().objects == before.objects);
  CHECK(store->stats().value_bytes == before.value_bytes);
  CHECK(must(*store, put(pods, "default/a", "three"))->revision == 7);
}

TEST_CASE("many resources get numbers of their own") {
  Backend store("memory");
  for (int i = 0; i < 1000; ++i) CHECK(store->resource(fmt::format("r{}", i)) == static_cast<ResourceId>(i));
  must(*store, create(777, "k", "v"));
  CHECK(store->resource_name(777) == "r777");
  CHECK(store->count(777) == 1);
}
