#include "write_options.h"

#include "audit_trail.h"
#include "knarr/codec/go_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace knarr::apiserver {

namespace {

constexpr size_t kMaxFieldManager = 128;  // bytes

// One character of a text that is meant to be UTF-8, and how many bytes it takes. What is no UTF-8 is U+FFFD.
struct Character {
  uint32_t code = 0;
  size_t size = 1;
};
Character first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (size > text.size() || (size > 1 && !json::is_utf8(text.substr(0, size)))) return {0xfffd, 1};
  uint32_t code = size == 1 ? lead : lead & (0x7f >> size);
  for (size_t i = 1; i < size; ++i) code = code << 6 | (byte(i) & 0x3f);
  return {code, size};
}

// Control characters, and spaces other than the common one, are not shown.
bool is_printed(uint32_t code) {
  if (code < 0x20 || (code >= 0x7f && code <= 0xa0) || code == 0xad) return false;
  return !(code >= 0x2000 && code <= 0x200f) && !(code >= 0x2028 && code <= 0x202f) && code != 0x3000 && code != 0xfeff;
}

// Who does not say what he is called is called by his program: what stands before the first slash of its name.
std::string manager_of_agent(std::string_view agent) {
  std::string out;
  agent = agent.substr(0, agent.find('/'));
  while (!agent.empty()) {
    const Character next = first_character(agent);
    if (is_printed(next.code)) {
      if (out.size() + next.size > kMaxFieldManager) break;
      out += agent.substr(0, next.size);
    }
    agent.remove_prefix(next.size);
  }
  return out;
}

void check_field_manager(std::string_view name, std::vector<Cause>& causes) {
  if (name.size() > kMaxFieldManager)
    causes.push_back(
        {"FieldValueTooLong", fmt::format("Too long: may not be more than {} bytes", kMaxFieldManager), "fieldManager"});
  for (size_t at = 0; at < name.size();) {
    const Character next = first_character(name.substr(at));
    if (!is_printed(next.code))
      causes.push_back(cause_invalid("fieldManager", json::go_quoted(name),
                                     fmt::format("invalid character U+{:04X} (at position {})", next.code, at)));
    at += next.size;
  }
}

// Who applies must say who he is; only who applies may force.
void check_patch_options(const http::Request& request, std::vector<Cause>& causes) {
  if (media_type(request.header("Content-Type")).starts_with("application/apply-patch+")) {
    if (request.param("fieldManager").value_or("").empty())
      causes.push_back(cause_required("fieldManager", "is required for apply patch"));
  } else if (request.param("force")) {
    causes.push_back(cause_forbidden("force", "may not be specified for non-apply patch"));
  }
}

}  // namespace

Result<RequestContext> make_context(const Exchange& exchange, std::string_view options_kind) {
  const http::Request& request = exchange.request;
  RequestContext context;
  context.user = exchange.user;
  if (exchange.audit) context.audit = &exchange.audit->annotations();
  std::vector<Cause> causes;
  const bool deletes = options_kind == "DeleteOptions";
  if (options_kind == "PatchOptions") check_patch_options(request, causes);
  if (!deletes) {
    context.field_manager = request.param("fieldManager").value_or("");
    check_field_manager(context.field_manager, causes);
    if (context.field_manager.empty()) context.field_manager = manager_of_agent(request.header("User-Agent"));
    context.force = request.flag("force");
  }
  const bool in_body = deletes && !request.body.empty();  // where its options then stand
  const auto stages = in_body ? decltype(request.params("")){} : request.params("dryRun");
  context.dry_run = !stages.empty();
  if (std::any_of(stages.begin(), stages.end(), [](std::string_view stage) { return stage != "All"; })) {
    std::string shown;
    for (const std::string_view stage : stages) {
      shown += shown.empty() ? "[" : ",";
      json::append_quoted(shown, stage);
    }
    causes.push_back({"FieldValueNotSupported", fmt::format("Unsupported value: {}]: supported values: \"All\"", shown), "dryRun"});
  }
  const std::string_view validation = deletes ? "" : request.param("fieldValidation").value_or("");
  context.field_validation = FieldValidation::kWarn;
  if (validation == "Ignore") {
    context.field_validation = FieldValidation::kIgnore;
  } else if (validation == "Strict") {
    context.field_validation = FieldValidation::kStrict;
  } else if (!validation.empty() && validation != "Warn") {
    causes.push_back(cause_unsupported("fieldValidation", validation, "\"\", \"Ignore\", \"Strict\", \"Warn\""));
  }
  if (!causes.empty()) return invalid_error("meta.k8s.io", options_kind, "", std::move(causes));
  return context;
}

}  // namespace knarr::apiserver
