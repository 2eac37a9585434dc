// Policies of admission and their bindings (upstream: pkg/apis/admissionregistration/validation). Expressions are not compiled.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "knarr/codec/jsonpath.h"
#include "schema/go_json.h"
#include "schema/validate_groups.h"

namespace knarr::schema::validation {

namespace registration = api::admissionregistration::v1;

namespace {

constexpr size_t kMaxAnnotations = 20, kMaxValueExpression = 5 * 1024;

std::string trimmed(const std::string& text) {
  constexpr const char* kSpace = " \t\n\v\f\r";
  const size_t begin = text.find_first_not_of(kSpace);
  return begin == text.npos ? "" : text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string joined(const names::Problems& problems) { return fmt::format("{}", fmt::join(problems, ",")); }

void failure_policy(const std::optional<std::string>& policy, const Path& path, FieldErrors& errors) {
  if (!policy) return errors.required(path);
  errors.one_of(path, *policy, {"Fail", "Ignore"});
}

void param_kind(const registration::ParamKind& kind, const Path& path, FieldErrors& errors) {
  const Path at = path.child("apiVersion");
  const std::string& version = kind.apiVersion;
  const size_t slash = version.find('/');
  if (version.empty()) {
    errors.required(at);
  } else if (slash != version.npos && version.find('/', slash + 1) != version.npos) {
    errors.invalid(at, version, "unexpected GroupVersion string: " + version);
  } else {
    const std::string group = slash == version.npos ? "" : version.substr(0, slash);
    const std::string name = slash == version.npos ? version : version.substr(slash + 1);
    if (const auto problems = names::dns1123_subdomain(group); !group.empty() && !problems.empty()) errors.invalid(at, group, joined(problems));
    if (name.empty()) {
      errors.invalid(at, version, "version must be specified");
    } else if (const auto problems = names::dns1035_label(name); !problems.empty()) {
      errors.invalid(at, name, joined(problems));
    }
  }
  if (kind.kind.empty()) return errors.required(path.child("kind"));
  std::string lower = kind.kind;
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  if (const auto problems = names::dns1035_label(lower); !problems.empty())
    errors.invalid(path.child("kind"), kind.kind, "may have mixed case, but should otherwise match: " + joined(problems));
}

void named_rules(const std::vector<registration::NamedRuleWithOperations>& rules, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < rules.size(); ++i) {
    const auto& rule = rules[i];
    const Path at = path.index(i), resources = at.child("resourceNames");
    std::set<std::string> seen;
    for (size_t j = 0; j < rule.resourceNames.size(); ++j) {
      const std::string& name = rule.resourceNames[j];
      errors.invalid(resources.index(j), name, names::path_segment_name(name));
      if (!seen.insert(name).second) errors.duplicate(resources.index(j), name);
    }
    registration::RuleWithOperations operations;
    operations.operations = rule.operations;
    operations.apiGroups = rule.apiGroups;
    operations.apiVersions = rule.apiVersions;
    operations.resources = rule.resources;
    operations.scope = rule.scope;
    rule_with_operations(operations, at, errors);
  }
}

void match_resources(const registration::MatchResources& match, const Path& path, FieldErrors& errors) {
  if (match.matchPolicy) {
    errors.one_of(path.child("matchPolicy"), *match.matchPolicy, {"Equivalent", "Exact"});
  } else {
    errors.required(path.child("matchPolicy"));
  }
  const auto selector = [&](const auto& selector, const Path& at) {
    if (selector) return label_selector(*selector, at, errors);
    errors.required(at);
  };
  selector(match.namespaceSelector, path.child("namespaceSelector"));
  selector(match.objectSelector, path.child("objectSelector"));
  named_rules(match.resourceRules, path.child("resourceRules"), errors);
  named_rules(match.excludeResourceRules, path.child("excludeResourceRules"), errors);
}

template <typename Match>
void match_constraints(const Match& match, const Path& path, FieldErrors& errors) {
  if (!match) return errors.required(path);
  match_resources(*match, path, errors);
  if (match->resourceRules.empty()) errors.required(path.child("resourceRules"));
}

// What is deleted cannot be changed.
void mutating_operations(const registration::MatchResources& match, const Path& path, FieldErrors& errors) {
  for (const auto& rule : match.resourceRules)
    for (const std::string& operation : rule.operations)
      errors.one_of(path.child("resourceRules", "operations"), operation, {"*", "CONNECT", "CREATE", "UPDATE"});
}

bool is_cel_identifier(const std::string& name) {
  static const std::set<std::string_view> reserved = {"true",     "false", "null",   "in",  "as",   "break", "const",   "continue",  "else",   "for", "function",
                                                      "if",       "import", "let",   "loop", "package", "namespace", "return", "var", "void", "while"};
  const auto letter = [](char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return letter(name.front()) && reserved.count(name) == 0 &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
}

void variables(const std::vector<registration::Variable>& list, const Path& path, FieldErrors& errors) {
  for (size_t i = 0; i < list.size(); ++i) {
    const Path at = path.index(i);
    if (trimmed(list[i].name).empty()) {
      errors.required(at.child("name"), "name is not specified");
    } else if (!is_cel_identifier(list[i].name)) {
      errors.invalid(at.child("name"), list[i].name, "must be a valid CEL identifier");
    }
    if (trimmed(list[i].expression).empty()) errors.required(at.child("expression"), "expression is not specified");
  }
}

void one_validation(const registration::Validation& v, const Path& path, FieldErrors& errors) {
  constexpr std::string_view kEmpty = "must be non-empty if specified";
  if (trimmed(v.expression).empty()) errors.required(path.child("expression"), "expression is not specified");
  if (!v.messageExpression.empty() && trimmed(v.messageExpression).empty()) errors.invalid(path.child("messageExpression"), v.messageExpression, kEmpty);
  const std::string message = trimmed(v.message);
  if (!v.message.empty() && message.empty()) {
    errors.invalid(path.child("message"), v.message, kEmpty);
  } else if (message.find_first_of("\r\n") != message.npos) {
    errors.invalid(path.child("message"), v.message, "must not contain line breaks");
  }
  if (v.reason) errors.one_of(path.child("reason"), *v.reason, {"Forbidden", "Invalid", "RequestEntityTooLarge"});
}

void audit_annotations(const std::vector<registration::AuditAnnotation>& list, const std::string& policy, const Path& path, FieldErrors& errors) {
  if (list.size() > kMaxAnnotations) {
    std::vector<std::string> shown;
    for (const auto& annotation : list) shown.push_back(go_json(annotation));
    errors.invalid_json(path, fmt::format("[{}]", fmt::join(shown, ",")), fmt::format("must not have more than {} auditAnnotations", kMaxAnnotations));
  }
  std::set<std::string> seen;
  for (size_t i = 0; i < list.size(); ++i) {
    const Path key = path.index(i).child("key"), value = path.index(i).child("valueExpression");
    if (policy.empty()) {
      errors.invalid(key, list[i].key, "requires metadata.name be non-empty");
    } else {
      const std::string name = policy + "/" + list[i].key;
      errors.invalid(key, name, names::qualified_name(name));
    }
    const std::string expression = trimmed(list[i].valueExpression);
    if (expression.empty()) {
      errors.required(value, "valueExpression is not specified");
    } else if (expression.size() > kMaxValueExpression) {
      errors.required(value, fmt::format("must not exceed {} bytes in length", kMaxValueExpression));
    }
    if (!seen.insert(list[i].key).second) errors.duplicate(key, list[i].key);
  }
}

void param_ref(const registration::ParamRef& ref, const Path& path, FieldErrors& errors) {
  constexpr std::string_view kExclusive = "name and selector are mutually exclusive";
  if (!ref.name.empty()) {
    errors.invalid(path.child("name"), ref.name, names::path_segment_name(ref.name));
    if (ref.selector) errors.forbidden(path.child("name"), kExclusive);
  }
  if (ref.selector) {
    label_selector(*ref.selector, path.child("selector"), errors);
    if (!ref.name.empty()) errors.forbidden(path.child("selector"), kExclusive);
  }
  if (ref.name.empty() && !ref.selector) errors.required(path, "one of name or selector must be specified");
  const Path action = path.child("parameterNotFoundAction");
  if (!ref.parameterNotFoundAction || ref.parameterNotFoundAction->empty()) {
    errors.required(action);
  } else {
    errors.one_of(action, *ref.parameterNotFoundAction, {"Deny", "Allow"});
  }
}

// What a binding of either sort has.
template <typename Spec>
void binding_spec(const Spec& spec, const Path& path, FieldErrors& errors) {
  if (spec.policyName.empty()) {
    errors.required(path.child("policyName"));
  } else {
    errors.invalid(path.child("policyName"), spec.policyName, names::dns1123_subdomain(spec.policyName));
  }
  if (spec.paramRef) param_ref(*spec.paramRef, path.child("paramRef"), errors);
  if (spec.matchResources) match_resources(*spec.matchResources, path.child("matchResources"), errors);
}

void validation_actions(const std::vector<std::string>& actions, const Path& path, FieldErrors& errors) {
  std::set<std::string> seen;
  for (size_t i = 0; i < actions.size(); ++i) {
    errors.one_of(path.index(i), actions[i], {"Audit", "Deny", "Warn"});
    if (!seen.insert(actions[i]).second) errors.duplicate(path.index(i), actions[i]);
  }
  if (seen.count("Deny") != 0 && seen.count("Warn") != 0)
    errors.invalid_json(path, list_json(actions),
                        "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no "
                        "purpose)");
  if (seen.empty()) errors.required(path, "at least one validation action is required");
}

void policy_status(const registration::ValidatingAdmissionPolicyStatus& status, const Path& path, FieldErrors& errors) {
  if (status.typeChecking) {
    const auto& warnings = status.typeChecking->expressionWarnings;
    for (size_t i = 0; i < warnings.size(); ++i) {
      const Path at = path.child("typeChecking", "expressionWarnings").index(i);
      if (warnings[i].warning.empty()) errors.required(at.child("warning"));
      const std::string field = trimmed(warnings[i].fieldRef);
      if (field.empty()) {
        errors.required(at.child("fieldRef"));
      } else if (const auto parsed = JsonPath::parse(field.front() == '.' || field.front() == '[' ? field : "." + field); !parsed.ok()) {
        errors.invalid(at.child("fieldRef"), field, "invalid JSONPath: " + parsed.status().message());
      }
    }
  }
  conditions(status.conditions, path.child("conditions"), errors);
}

void mutation(const registration::Mutation& m, const Path& path, FieldErrors& errors) {
  const Path json = path.child("jsonPatch"), apply = path.child("applyConfiguration");
  if (m.patchType.empty()) return errors.required(path.child("patchType"));
  // The member that the type names must be there, the other must not.
  const auto check = [&](const auto& wanted, const Path& at, bool other, const Path& other_at, const char* other_shown) {
    if (!wanted) {
      errors.required(at, "must be specified when patchType is " + m.patchType);
    } else if (trimmed(wanted->expression).empty()) {
      errors.required(at.child("expression"));
    }
    if (other) errors.invalid(other_at, other_shown, "must not be specified when patchType is " + m.patchType);
  };
  if (m.patchType == "JSONPatch") {
    check(m.jsonPatch, json, static_cast<bool>(m.applyConfiguration), apply, "{applyConfiguration}");
  } else if (m.patchType == "ApplyConfiguration") {
    check(m.applyConfiguration, apply, static_cast<bool>(m.jsonPatch), json, "{jsonPatch}");
  } else {
    errors.unsupported(path.child("patchType"), m.patchType, {"ApplyConfiguration", "JSONPatch"});
  }
}

template <typename Object>
void metadata_of(const Object& object, const Object* old, FieldErrors& errors) {
  object_meta(object.metadata, old ? &old->metadata : nullptr, false, names::dns1123_subdomain, errors, Path("metadata"), Finalizers::kAny);
}

}  // namespace

void validating_policy(const registration::ValidatingAdmissionPolicy& policy, const registration::ValidatingAdmissionPolicy* old, FieldErrors& errors) {
  if (old && !(policy.status == old->status)) return policy_status(policy.status, Path("status"), errors);
  metadata_of(policy, old, errors);
  const Path path("spec"), validations = path.child("validations"), annotations = path.child("auditAnnotations");
  const auto& spec = policy.spec;
  failure_policy(spec.failurePolicy, path.child("failurePolicy"), errors);
  if (spec.paramKind) param_kind(*spec.paramKind, path.child("paramKind"), errors);
  match_constraints(spec.matchConstraints, path.child("matchConstraints"), errors);
  match_conditions(spec.matchConditions, path.child("matchConditions"), errors);
  variables(spec.variables, path.child("variables"), errors);
  if (spec.validations.empty() && spec.auditAnnotations.empty()) {
    errors.required(validations, "validations or auditAnnotations must contain at least one item");
    return errors.required(annotations, "validations or auditAnnotations must contain at least one item");
  }
  for (size_t i = 0; i < spec.validations.size(); ++i) one_validation(spec.validations[i], validations.index(i), errors);
  audit_annotations(spec.auditAnnotations, policy.metadata.name, annotations, errors);
}

void validating_policy_binding(const registration::ValidatingAdmissionPolicyBinding& binding, const registration::ValidatingAdmissionPolicyBinding* old,
                               FieldErrors& errors) {
  metadata_of(binding, old, errors);
  const Path path("spec");
  binding_spec(binding.spec, path, errors);
  validation_actions(binding.spec.validationActions, path.child("validationActions"), errors);
}

void mutating_policy(const registration::MutatingAdmissionPolicy& policy, const registration::MutatingAdmissionPolicy* old, FieldErrors& errors) {
  metadata_of(policy, old, errors);
  const Path path("spec"), constraints = path.child("matchConstraints");
  const auto& spec = policy.spec;
  failure_policy(spec.failurePolicy, path.child("failurePolicy"), errors);
  if (spec.paramKind) param_kind(*spec.paramKind, path.child("paramKind"), errors);
  match_constraints(spec.matchConstraints, constraints, errors);
  if (spec.matchConstraints) mutating_operations(*spec.matchConstraints, constraints, errors);
  match_conditions(spec.matchConditions, path.child("matchConditions"), errors);
  variables(spec.variables, path.child("variables"), errors);
  if (spec.mutations.empty()) errors.required(path.child("mutations"), "mutations must contain at least one item");
  for (size_t i = 0; i < spec.mutations.size(); ++i) mutation(spec.mutations[i], path.child("mutations").index(i), errors);
  if (spec.reinvocationPolicy.empty()) return errors.required(path.child("reinvocationPolicy"));
  errors.one_of(path.child("reinvocationPolicy"), spec.reinvocationPolicy, {"IfNeeded", "Never"});
}

void mutating_policy_binding(const registration::MutatingAdmissionPolicyBinding& binding, const registration::MutatingAdmissionPolicyBinding* old,
                             FieldErrors& errors) {
  metadata_of(binding, old, errors);
  const Path path("spec");
  binding_spec(binding.spec, path, errors);
  if (binding.spec.matchResources) mutating_operations(*binding.spec.matchResources, path.child("matchResources"), errors);
}

}  // namespace knarr::schema::validation
