// From a client's text to an object of the resource that it was sent to.
#include "rest_decode.h"

#include <fmt/format.h>

#include "knarr/apiserver/extract.h"
#include "knarr/codec/go_text.h"
#include "knarr/schema/apply.h"
#include "knarr/schema/custom.h"
#include "knarr/schema/machinery.h"
#include "knarr/schema/protobuf.h"
#include "negotiate.h"
#include "rest_impl.h"

namespace knarr::apiserver {

namespace {

using json::Document;
using json::Value;

constexpr size_t kWarningsShown = 64;

// Why upstream could not read kind and version of a body.
std::string why_no_object(const Result<Document>& parsed, std::string_view text) {
  if (parsed.ok())
    return fmt::format(R"(json: cannot unmarshal {} into Go value of type struct {{ APIVersion string "json:\"apiVersion,omitempty\""; )"
                       R"(Kind string "json:\"kind,omitempty\"" }})",
                       json::go_json_kind(*parsed));
  std::string why = json::go_syntax_error(text);
  return why.empty() ? parsed.status().message() : why;
}

// "Pod in version \"v1\" cannot be handled as a ConfigMap: why"
Status cannot_handle(const Value& object, const schema::Resource& resource, std::string_view why) {
  std::string_view kind = json::get_string(object, "kind"), version = json::get_string(object, "apiVersion");
  if (kind.empty()) kind = resource.kind;
  if (const size_t slash = version.find('/'); slash != std::string_view::npos) version.remove_prefix(slash + 1);
  if (version.empty()) version = resource.version;
  return bad_request(
      fmt::format("{} in version \"{}\" cannot be handled as a {}: {}", kind, version, resource.kind, why));
}

// The object's kind and version, which default to those of the endpoint, must be them. Errors say only why.
Status check_kind(const Value& object, const schema::Resource& resource) {
  const std::string_view kind = json::get_string(object, "kind"), api_version = json::get_string(object, "apiVersion");
  const std::string expected = group_version(resource);
  const std::string_view actual_kind = kind.empty() ? resource.kind : kind;
  if (resource.custom && !api_version.empty() && api_version != expected)
    return bad_request(fmt::format("the API version in the data ({}) does not match the expected API version ({})",
                                   api_version, expected));
  if (resource.custom && actual_kind != resource.kind) {
    std::string shown;
    json::append_quoted(shown, actual_kind);
    return invalid_error(resource.group, actual_kind, meta_string(object, "name"),
                         {cause_invalid("kind", shown, fmt::format("must be {}", resource.kind))});
  }
  const std::string_view actual = api_version.empty() ? std::string_view(expected) : api_version;
  if (actual == expected && actual_kind == resource.kind) return Status::OK();
  const size_t slash = actual.find('/');
  const std::string_view group = slash == std::string_view::npos ? "" : actual.substr(0, slash);
  const std::string_view version = slash == std::string_view::npos ? actual : actual.substr(slash + 1);
  if (!schema::find_kind(group, version, actual_kind))
    return bad_request(unregistered_kind(actual_kind, actual));
  if (actual_kind == resource.kind)
    return bad_request(
        fmt::format("the API version in the data ({}) does not match the expected API version ({})", actual, expected));
  return bad_request(
      fmt::format("converting ({}.{}) to ({}): unknown conversion", version, actual_kind, internal_kind(resource)));
}

}  // namespace

std::vector<std::string> strict_errors(std::string_view text, const std::vector<std::string>& unknown) {
  std::vector<std::string> out;
  for (const std::string& path : unknown) out.push_back(fmt::format("unknown field \"{}\"", path));
  for (const std::string& path : json::duplicate_keys(text)) out.push_back(fmt::format("duplicate field \"{}\"", path));
  return out;
}

void add_warnings(RequestContext& context, const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings)
    if (context.warnings.size() < kWarningsShown) context.warnings.push_back(warning);
}

Status Rest::Impl::check_document(const schema::Resource& resource, Document& document,
                                  std::vector<std::string>& unknown) {
  if (const Status fits = check_kind(document, resource); !fits.ok()) {
    // An object of another kind is read as what it is before it is found not to fit.
    const schema::Type* type = resource.custom ? nullptr : schema::find_kind_type(json::get_string(document, "apiVersion"), json::get_string(document, "kind"));
    if (type && type != resource.type) KNARR_RETURN_IF_ERROR(schema::normalize(*type, document, document.GetAllocator(), unknown));
    return fits;
  }
  schema::mark_managed_fields_reset(document, document.GetAllocator());
  if (resource.custom) return schema::custom::normalize(resource, document, document.GetAllocator(), &unknown, false);
  return schema::normalize(*resource.type, document, document.GetAllocator(), unknown);
}

Result<Document> Rest::Impl::decode(RequestContext& context, const schema::Resource& resource,
                                    std::string_view text) {
  auto parsed = json::parse(text);
  if (resource.custom && parsed.ok() && (parsed->IsNull() || (parsed->IsObject() && json::get_string(*parsed, "kind").empty())))
    return bad_request(fmt::format("the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{}' ({})",
                                   resource.kind, text, text_summary(text)));
  if (parsed.ok() && parsed->IsNull()) parsed->SetObject();
  if (!parsed.ok() || !parsed->IsObject())
    return bad_request(fmt::format(
        "the object provided is unrecognized (must be of type {}): couldn't get version/kind; "
        "json parse error: {} ({})",
        resource.kind, why_no_object(parsed, text), text_summary(text)));
  std::vector<std::string> unknown;
  if (const Status fits = check_document(resource, *parsed, unknown); !fits.ok())
    return resource.custom && (fits.code() == 422 || fits.message().starts_with("the API version")) ? fits : cannot_handle(*parsed, resource, fits.message());
  if (context.field_validation != FieldValidation::kIgnore) {
    const auto errors = strict_errors(text, unknown);
    if (!errors.empty() && context.field_validation == FieldValidation::kStrict)
      return cannot_handle(*parsed, resource, fmt::format("strict decoding error: {}", fmt::join(errors, ", ")));
    add_warnings(context, errors);
  }
  return parsed;
}

}  // namespace knarr::apiserver
