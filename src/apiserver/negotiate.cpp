#include "negotiate.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <vector>

#include "knarr/apiserver/errors.h"
#include "knarr/codec/json.h"
#include "knarr/codec/yaml.h"
#include "knarr/schema/protobuf.h"
#include "render.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kProtobuf = "application/vnd.kubernetes.protobuf";

std::string_view supported(Forms forms) {
  switch (forms) {
    case Forms::kCustom: return "application/json, application/yaml";
    case Forms::kStream: return "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
    case Forms::kCustomStream: return "application/json;stream=watch";
    default: return "application/json, application/yaml, application/vnd.kubernetes.protobuf";
  }
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> out;
  while (true) {
    const size_t end = text.find(at);
    out.push_back(trim(text.substr(0, end)));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

struct Clause {
  std::string_view type;
  double quality = 1;
  std::string_view as, group, version;
  bool pretty = false;
};

Clause read_clause(std::string_view text) {
  Clause clause;
  const auto parts = split(text, ';');
  clause.type = parts[0];
  for (size_t i = 1; i < parts.size(); ++i) {
    const size_t equals = parts[i].find('=');
    const std::string_view key = trim(parts[i].substr(0, equals));
    const std::string_view value = equals == std::string_view::npos ? "" : trim(parts[i].substr(equals + 1));
    if (key == "q") clause.quality = std::atof(std::string(value).c_str());
    if (key == "as") clause.as = value;
    if (key == "g") clause.group = value;
    if (key == "v") clause.version = value;
    if (key == "pretty") clause.pretty = value == "1" || value == "true";
  }
  return clause;
}

bool wants_pretty(const http::Request& request) {
  if (const auto pretty = request.param("pretty"); pretty && !pretty->empty())
    return *pretty == "true" || *pretty == "1" || *pretty == "True" || *pretty == "t";
  const std::string_view agent = request.header("User-Agent");
  const auto begins = [&](std::string_view with) { return agent.substr(0, with.size()) == with; };
  return begins("curl") || begins("Wget") || begins("Mozilla/5.0");
}

// False where the clause asks for something that is not spoken here.
bool accept(const Clause& clause, Forms forms, Output& out) {
  const bool stream = forms == Forms::kStream || forms == Forms::kCustomStream;
  const bool custom = forms == Forms::kCustom || forms == Forms::kCustomStream;
  if (clause.type == kProtobuf) {
    out.protobuf = true;
    if (custom && clause.as != "PartialObjectMetadata" && clause.as != "PartialObjectMetadataList") return false;
  } else if (!stream &&
             (clause.type == "application/yaml" || clause.type == "application/x-yaml" || clause.type == "text/yaml")) {
    out.yaml = true;
  } else if (clause.type != "application/json" && clause.type != "*/*" && clause.type != "application/*") {
    return false;
  }
  if (clause.pretty) out.pretty = true;
  if (clause.as.empty()) return true;
  if (out.protobuf && clause.as == "Table") return false;  // has no such form
  const bool meta =
      (forms == Forms::kMeta || stream || custom) && clause.group == "meta.k8s.io" && (clause.version == "v1" || clause.version == "v1beta1");
  if (meta && clause.as == "Table") {
    out.shape = Shape::kTable;
  } else if (meta && clause.as == "PartialObjectMetadata") {
    out.shape = Shape::kPartial;
  } else if (meta && clause.as == "PartialObjectMetadataList") {
    out.shape = Shape::kPartialList;
  } else if (forms == Forms::kDiscovery && !out.protobuf && clause.as == "APIGroupDiscoveryList" &&
             clause.group == "apidiscovery.k8s.io" && clause.version == "v2") {
    out.discovery = true;
    return true;
  } else {
    return false;
  }
  out.meta_version = clause.version;
  return true;
}

}  // namespace

Result<Output> negotiate_output(const http::Request& request, Forms forms) {
  Output base;
  base.pretty = wants_pretty(request);
  if (const auto include = request.param("includeObject"); include && !include->empty()) base.include_object = *include;
  const std::string_view header = request.header("Accept");
  if (header.empty()) return base;
  std::vector<Clause> clauses;
  for (std::string_view text : split(header, ',')) clauses.push_back(read_clause(text));
  std::stable_sort(clauses.begin(), clauses.end(),
                   [](const Clause& a, const Clause& b) { return a.quality > b.quality; });
  for (const Clause& clause : clauses) {
    Output out = base;
    if (accept(clause, forms, out)) return out;
  }
  return not_acceptable_error(supported(forms));
}

void fit_status(const http::Request& request, http::Response& response) {
  constexpr std::string_view kStatus = R"({"kind":"Status","apiVersion":"v1",)";
  if (response.takeover || !std::string_view(response.body).starts_with(kStatus)) return;
  const auto output = negotiate_output(request, Forms::kPlain);
  if (!output.ok() || (!output->yaml && !output->protobuf && !output->pretty)) return;
  response.body = format_json(std::move(response.body), *output);
  response.set_header("Content-Type", output->content_type());
}

std::string media_type(std::string_view header) {
  std::string type(trim(header.substr(0, header.find(';'))));
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return type;
}

std::string text_summary(std::string_view text) {
  constexpr size_t kShown = 30;
  if (text.empty()) return "<empty>";
  const std::string_view shown = text.substr(0, kShown);
  std::string out;
  if (text.front() == '{') {
    out = shown;
  } else {
    for (const unsigned char c : shown) out += fmt::format("{:02x}", c);
  }
  if (text.size() > kShown) out += " ...";
  return out;
}

Result<std::string> body_as_json(const http::Request& request, std::string_view kind) {
  const std::string type = media_type(request.header("Content-Type"));
  if (type.empty() || type == "application/json" || type == "*/*") return request.body;
  const bool yaml = type == "application/yaml" || type == "application/x-yaml" || type == "text/yaml";
  if (!yaml && type != kProtobuf)
    return unsupported_media_type_error("application/json, application/yaml, application/vnd.kubernetes.protobuf");
  auto document = yaml ? yaml::parse(request.body) : schema::decode_protobuf(request.body);
  if (document.ok()) return json::dump(*document);
  if (kind.empty()) return document.status();
  return bad_request(fmt::format("the object provided is unrecognized (must be of type {}): {} ({})", kind,
                                 document.status().message(), text_summary(request.body)));
}

}  // namespace knarr::apiserver
