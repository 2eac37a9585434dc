#include "store/batch.h"

#include <fmt/format.h>

namespace knarr::store {

namespace {

size_t digits_of(Revision revision) { return fmt::format_int(revision).size(); }

}  // namespace

std::string with_revision(std::string_view value, size_t pos, size_t old_digits, Revision revision) {
  const fmt::format_int digits(revision);
  std::string out;
  out.reserve(value.size() - old_digits + digits.size());  // exactly: the bytes live as long as the object
  out.append(value.substr(0, pos)).append(digits.data(), digits.size()).append(value.substr(pos + old_digits));
  return out;
}

ObjectPtr Batch::head(ResourceId resource, std::string_view key) const {
  if (auto it = changed_.find({resource, key}); it != changed_.end()) return it->second;
  const Table& table = tables_.at(resource);
  FairReadLock lock(table.mutex);
  return table.get(key);
}

Status Batch::check(const Write& write, const Object* current) const {
  auto what = [&] { return fmt::format("{} \"{}\"", tables_.at(write.resource).name, write.key); };
  if (write.expect == Write::Expect::kAbsent && current)
    return Status(409, reason::kAlreadyExists, what() + " already exists");
  if (!current && (write.op == Write::Op::kDelete || write.expect == Write::Expect::kRevision))
    return not_found(what() + " not found");
  if (write.expect == Write::Expect::kRevision && current->revision != write.expected)
    return Status(
        409, reason::kConflict,
        fmt::format("{} was changed: it is at revision {}, not {}; read it again and apply the change to that", what(),
                    current->revision, write.expected));
  if (write.rev_pos > write.value.size())
    return internal_error(fmt::format("write of {}: the place of its revision, {}, lies behind its {} bytes", what(),
                                      write.rev_pos, write.value.size()));
  return Status::OK();
}

std::shared_ptr<Object> Batch::next_object(Write& write, const Object* current) {
  auto object = std::make_shared<Object>();
  object->resource = write.resource;
  object->key = std::move(write.key);
  object->revision = ++last_;
  object->create_revision = current ? current->create_revision : object->revision;
  if (write.op == Write::Op::kPut || !write.value.empty()) {
    object->value = with_revision(write.value, write.rev_pos, 0, object->revision);
    object->rev_pos = write.rev_pos;
    object->extract = std::move(write.extract);
  } else {
    object->value = with_revision(current->value, current->rev_pos, digits_of(current->revision), object->revision);
    object->rev_pos = current->rev_pos;
  }
  // Selectors of watchers look at a deletion too.
  Extract& e = object->extract;
  if (write.op == Write::Op::kDelete && e.labels.empty() && e.fields.empty() && e.index.empty()) e = current->extract;
  return object;
}

Status Batch::add(std::span<Write> writes, std::vector<ObjectPtr>& objects) {
  const size_t events_before = events_.size();
  const Revision last_before = last_;
  std::vector<Undo> undo;
  objects.reserve(writes.size());
  for (Write& write : writes) {
    ObjectPtr current = head(write.resource, write.key);
    if (Status status = check(write, current.get()); !status.ok()) {
      for (auto it = undo.rbegin(); it != undo.rend(); ++it) {
        if (it->before)
          changed_[it->key] = *it->before;
        else
          changed_.erase(it->key);
      }
      events_.resize(events_before);
      last_ = last_before;
      objects.clear();
      return status;
    }
    ObjectPtr object = next_object(write, current.get());
    const bool deleted = write.op == Write::Op::kDelete;
    const EventType type = deleted ? EventType::kDeleted : current ? EventType::kModified : EventType::kAdded;
    const Key key{object->resource, object->key};
    auto [it, fresh] = changed_.try_emplace(key);
    undo.push_back({key, fresh ? std::nullopt : std::optional(it->second)});
    it->second = deleted ? nullptr : object;
    events_.push_back(std::make_shared<Event>(type, object, std::move(current)));
    objects.push_back(std::move(object));
  }
  return Status::OK();
}

}  // namespace knarr::store
