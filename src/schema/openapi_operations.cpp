// How operations are written in either version, and those of the discovery documents.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "schema/openapi.h"

namespace knarr::schema::openapi {

namespace {

class OperationWriter {
 public:
  OperationWriter(Writer& out, Version version) : out_(out), v3_(version == Version::k3) {}

  void write(const Operation& operation) {
    out_.key(operation.method).begin();
    out_.member("operationId", operation.id);
    out_.key("tags").begin('[').string(operation.tag).end(']');
    if (!operation.action.empty()) {
      out_.member("x-kubernetes-action", operation.action);
      out_.key("x-kubernetes-group-version-kind").begin();
      out_.member("group", operation.group).member("kind", operation.kind).member("version", operation.version).end();
    }
    parameters(operation.parameters, v3_ ? std::string() : operation.body, operation.body_required);
    if (v3_ && !operation.body.empty()) {
      out_.key("requestBody").begin().key("content").begin();
      for (std::string_view type : operation.consumes) content(type, operation.body);
      out_.end();
      if (operation.body_required) out_.key("required").raw("true");
      out_.end();
    }
    if (!v3_) {
      if (!operation.consumes.empty()) strings("consumes", operation.consumes);
      strings("produces", operation.produces);
      out_.key("schemes").begin('[').string("https").end(']');
    }
    out_.key("responses").begin();
    for (std::string_view code : operation.codes) {
      out_.key(code).begin().member("description", code == "200" ? "OK" : code == "201" ? "Created" : "Accepted");
      if (v3_) {
        out_.key("content").begin();
        for (std::string_view type : operation.produces) content(type, operation.answer);
        out_.end();
      } else {
        out_.key("schema");
        schema(operation.answer);
      }
      out_.end();
    }
    out_.key("401").begin().member("description", "Unauthorized").end();
    out_.end().end();
  }

  void parameters(std::vector<Parameter> parameters, const std::string& body, bool body_required) {
    if (parameters.empty() && body.empty()) return;
    // The body stands where its name is in their order.
    constexpr Parameter kBody{"body", "", "", "body"};
    if (!body.empty()) parameters.push_back(kBody);
    std::sort(parameters.begin(), parameters.end(),
              [](const Parameter& a, const Parameter& b) { return std::tie(a.name, a.in) < std::tie(b.name, b.in); });
    out_.key("parameters").begin('[');
    for (const Parameter& known : parameters) {
      out_.begin().member("name", known.name).member("in", known.in);
      if (known == kBody) {
        if (body_required) out_.key("required").raw("true");
        out_.key("schema");
        schema(body);
      } else {
        parameter(known);
      }
      out_.end();
    }
    out_.end(']');
  }

 private:
  Writer& out_;
  const bool v3_;

  void parameter(const Parameter& known) {
    out_.member("description", known.doc);
    if (known.in == "path") out_.key("required").raw("true");
    if (v3_) out_.key("schema").begin();
    out_.member("type", known.type).key("uniqueItems").raw("true");
    if (v3_) out_.end();
  }

  void schema(const std::string& reference) {
    out_.begin();
    if (reference.empty()) {
      out_.member("type", "string");
    } else {
      out_.member("$ref", reference);
    }
    out_.end();
  }

  void content(std::string_view type, const std::string& reference) {
    out_.key(type).begin().key("schema");
    schema(reference);
    out_.end();
  }

  void strings(std::string_view key, const std::vector<std::string_view>& texts) {
    out_.key(key).begin('[');
    for (std::string_view text : texts) out_.string(text);
    out_.end(']');
  }
};

}  // namespace

std::string capitalized(std::string_view word) {
  std::string out(word);
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

std::string group_words(std::string_view group) {
  if (group.empty()) return "Core";
  if (group.ends_with(".k8s.io")) group.remove_suffix(7);
  std::string out;
  while (!group.empty()) {
    const size_t dot = std::min(group.find('.'), group.size());
    out += capitalized(group.substr(0, dot));
    group.remove_prefix(std::min(dot + 1, group.size()));
  }
  return out;
}

void write_path(Writer& out, Version version, std::string_view path, std::vector<Operation> operations) {
  OperationWriter writer(out, version);
  std::vector<Parameter> common = operations.front().parameters;
  std::erase_if(common, [&](const Parameter& parameter) {
    return std::any_of(operations.begin(), operations.end(), [&](const Operation& operation) {
      return std::find(operation.parameters.begin(), operation.parameters.end(), parameter) == operation.parameters.end();
    });
  });
  out.key(path).begin();
  for (Operation& operation : operations) {
    std::erase_if(operation.parameters, [&](const Parameter& parameter) {
      return std::find(common.begin(), common.end(), parameter) != common.end();
    });
    writer.write(operation);
  }
  writer.parameters(std::move(common), {}, false);
  out.end();
}

bool write_discovery_path(Writer& out, Version version, std::string_view name, Schemas& schemas) {
  Operation operation;
  operation.method = "get";
  operation.consumes = operation.produces = {"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"};
  const auto answers = [&](std::string_view type, std::string id, std::string tag) {
    if (!type.empty()) operation.answer = schemas.reference(*find_type(type));
    operation.id = std::move(id);
    operation.tag = std::move(tag);
  };
  const auto answers_text = [&](std::string_view type, std::string_view id, std::string_view tag) {
    operation.consumes.clear();
    operation.produces = {type};
    answers("", std::string(id), std::string(tag));
  };
  if (name == "api") {
    answers("meta/v1.APIVersions", "getCoreAPIVersions", "core");
  } else if (name == "apis") {
    answers("meta/v1.APIGroupList", "getAPIVersions", "apis");
  } else if (name == "version") {
    operation.consumes = operation.produces = {"application/json"};
    operation.answer = schemas.builtin("version.Info");
    answers("", "getCodeVersion", "version");
  } else if (name == "openid/v1/jwks") {
    answers_text("application/jwk-set+json", "getServiceAccountIssuerOpenIDKeyset", "openid");
  } else if (name == ".well-known/openid-configuration") {
    answers_text("application/json", "getServiceAccountIssuerOpenIDConfiguration", "WellKnown");
  } else if (name.starts_with("api/") || name.starts_with("apis/")) {
    const std::string_view path = name.substr(name.find('/') + 1);
    const bool core = name.starts_with("api/");
    const size_t slash = path.find('/');
    const std::string words = group_words(core ? "" : path.substr(0, slash));
    std::string tag = words;
    tag[0] = static_cast<char>(tag[0] | 0x20);
    if (!core && slash == std::string_view::npos) {
      answers("meta/v1.APIGroup", fmt::format("get{}APIGroup", words), tag);
    } else {
      const std::string_view group_version = core ? path : path.substr(slash + 1);
      answers("meta/v1.APIResourceList", fmt::format("get{}{}APIResources", words, capitalized(group_version)),
              fmt::format("{}_{}", tag, group_version));
    }
  } else {
    return false;
  }
  write_path(out, version, fmt::format("/{}/", name), {std::move(operation)});
  return true;
}

}  // namespace knarr::schema::openapi
