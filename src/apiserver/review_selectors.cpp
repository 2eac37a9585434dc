#include "review_selectors.h"

#include <fmt/format.h>

#include "knarr/apiserver/errors.h"
#include "knarr/codec/names.h"
#include "knarr/codec/selector.h"

namespace knarr::apiserver {

namespace {

using json::Value;

std::string quoted(std::string_view text) {
  std::string out;
  json::append_quoted(out, text);
  return out;
}

std::vector<const Value*> items(const Value& owner, std::string_view key) {
  std::vector<const Value*> out;
  const Value* list = json::find(owner, key);
  if (list && list->IsArray())
    for (const Value& item : list->GetArray()) out.push_back(&item);
  return out;
}

bool takes_values(std::string_view op) { return op == "In" || op == "NotIn"; }
bool takes_none(std::string_view op) { return op == "Exists" || op == "DoesNotExist"; }

void requirement_causes(const Value& requirement, bool labels, const std::string& path, std::vector<Cause>& out) {
  const std::string_view key = json::get_string(requirement, "key"), op = json::get_string(requirement, "operator");
  const auto values = items(requirement, "values");
  if (!labels && key.empty()) out.push_back(cause_required(path + ".key", "must be specified"));
  if (takes_values(op) && values.empty()) out.push_back(cause_required(path + ".values", "must be specified when `operator` is 'In' or 'NotIn'"));
  if (takes_none(op) && !values.empty())
    out.push_back(cause_forbidden(path + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  if (!labels) return;
  for (const std::string& problem : names::qualified_name(key)) out.push_back(cause_invalid(path + ".key", quoted(key), problem));
  for (size_t i = 0; i < values.size(); ++i) {
    const std::string_view value = values[i]->IsString() ? json::view(*values[i]) : std::string_view();
    for (const std::string& problem : names::label_value(value)) out.push_back(cause_invalid(fmt::format("{}.values[{}]", path, i), quoted(value), problem));
  }
}

// How many of the requirements count, and how many do not; those of fields are put together.
struct Counted {
  size_t good = 0, bad = 0;
};

Counted count_fields(const Value& selector, std::string& out) {
  Counted counted;
  if (const std::string_view raw = json::get_string(selector, "rawSelector"); !raw.empty()) {
    if (selector::Fields::parse(raw).ok()) {
      out = raw;
    } else {
      ++counted.bad;
    }
  }
  const auto requirements = items(selector, "requirements");
  if (!requirements.empty()) counted = {};
  for (const Value* requirement : requirements) {
    const std::string_view op = json::get_string(*requirement, "operator");
    const auto values = items(*requirement, "values");
    if (!takes_values(op) || values.size() != 1 || !values[0]->IsString()) {
      ++counted.bad;
      continue;
    }
    ++counted.good;
    if (!out.empty()) out += ',';
    out.append(json::get_string(*requirement, "key")).append(op == "In" ? "=" : "!=");
    for (const char c : json::view(*values[0])) {
      if (c == ',' || c == '=' || c == '\\') out += '\\';
      out += c;
    }
  }
  return counted;
}

Counted count_labels(const Value& selector) {
  Counted counted;
  const std::string_view raw = json::get_string(selector, "rawSelector");
  if (!raw.empty() && !selector::Labels::parse(raw).ok()) ++counted.bad;
  const auto requirements = items(selector, "requirements");
  if (!requirements.empty()) counted = {};
  for (const Value* requirement : requirements) {
    const std::string_view op = json::get_string(*requirement, "operator");
    ++(takes_values(op) || takes_none(op) ? counted.good : counted.bad);
  }
  return counted;
}

}  // namespace

std::vector<Cause> selector_causes(const Value& attributes) {
  std::vector<Cause> out;
  for (const bool labels : {false, true}) {
    const std::string_view name = labels ? "labelSelector" : "fieldSelector";
    const Value* selector = json::find(attributes, name);
    if (!selector || !selector->IsObject()) continue;
    const std::string path = fmt::format("spec.resourceAttributes.{}", name);
    const std::string_view raw = json::get_string(*selector, "rawSelector");
    const auto requirements = items(*selector, "requirements");
    if (!raw.empty() && !requirements.empty())
      out.push_back(cause_invalid(path + ".rawSelector", quoted(raw), "may not specified at the same time as requirements"));
    if (raw.empty() && requirements.empty())
      out.push_back(cause_required(path + ".requirements", fmt::format("when {} is specified, requirements or rawSelector is required", path)));
    for (size_t i = 0; i < requirements.size(); ++i) requirement_causes(*requirements[i], labels, fmt::format("{}.requirements[{}]", path, i), out);
  }
  return out;
}

AskedSelectors asked_selectors(const Value& attributes) {
  AskedSelectors out;
  const auto tell = [&](std::string_view name, const Counted& counted) {
    if (counted.bad == 0) return;
    if (!out.error.empty()) out.error += "; ";
    out.error += fmt::format("spec.resourceAttributes.{} {}ignored due to parse error", name, counted.good > 0 ? "partially " : "");
  };
  if (const Value* fields = json::find(attributes, "fieldSelector"); fields && fields->IsObject()) tell("fieldSelector", count_fields(*fields, out.fields));
  if (const Value* labels = json::find(attributes, "labelSelector"); labels && labels->IsObject()) tell("labelSelector", count_labels(*labels));
  return out;
}

}  // namespace knarr::apiserver
