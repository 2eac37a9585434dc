// The scale subresource: the size of an object, as an object of its own.
#include "knarr/schema/machinery.h"
#include "rest_impl.h"

namespace knarr::apiserver {

using json::Document;
using json::Value;

Rest::Impl::Change Rest::Impl::through_scale(const schema::Resource& resource, Change make) {
  return [&resource, make = std::move(make)](const Document& old) -> Result<Document> {
    KNARR_ASSIGN(Document scale, make(schema::scale_of(resource, old)));
    const Value* wanted = json::find(scale, {"spec", "replicas"});
    const int64_t replicas = wanted && wanted->IsInt64() ? wanted->GetInt64() : 0;
    if (replicas < 0 && !resource.custom)  // those say themselves what they take
      return invalid_error(
          schema::scale_resource(), json::get_string(old, {"metadata", "name"}),
          {cause_invalid("spec.replicas", std::to_string(replicas), "must be greater than or equal to 0")});
    Document object = json::copy(old);
    auto& alloc = object.GetAllocator();
    schema::set_scale(resource, replicas, object, alloc);
    Value& metadata = json::ensure_object(object, {"metadata"}, alloc);
    // What the client says about the object must hold; without a version, it wants the size whatever happened.
    for (std::string_view key : {"name", "namespace", "uid", "resourceVersion"}) {
      const std::string_view text = json::get_string(scale, {"metadata", key});
      if (!text.empty()) {
        json::set(metadata, key, text, alloc);
      } else if (key == "resourceVersion") {
        json::remove(metadata, key);
      }
    }
    return object;
  };
}

Result<Answer> Rest::Impl::as_scale(const schema::Resource& resource, Result<Answer> answer) {
  if (!answer.ok()) return answer;
  KNARR_ASSIGN(const Document object, json::parse(answer->bytes()));
  Answer scale;
  scale.code = answer->code;
  scale.body = json::dump(schema::scale_of(resource, object));
  return scale;
}

}  // namespace knarr::apiserver
