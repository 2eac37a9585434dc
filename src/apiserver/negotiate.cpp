#include "negotiate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <span>
#include <optional>
#include <vector>

#include "knarr/apiserver/errors.h"
#include "knarr/codec/json.h"
#include "knarr/codec/yaml.h"
#include "knarr/schema/protobuf.h"
#include "render.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kProtobuf = "application/vnd.kubernetes.protobuf", kYaml = "application/yaml";
constexpr size_t kMostClauses = 64;  // of an Accept header, that are looked at

constexpr std::string_view kSupported = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
constexpr std::string_view kSupportedStreams = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

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

// One of the media types that a client takes.
struct Clause {
  std::string_view type, subtype;
  double quality = 1;
  std::string_view as, group, version, stream, server_version;
  bool transforms = false;  // as, g or v are said
  bool pretty = false;
};

double read_quality(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  const double quality = std::strtod(copy.c_str(), &end);
  return copy.empty() || *end != '\0' ? 0 : quality;
}

// Nothing: no media type stands there.
std::optional<Clause> read_clause(std::string_view text) {
  Clause clause;
  const auto parts = split(text, ';');
  const auto types = split(parts[0], '/');
  clause.type = types[0];
  clause.subtype = types.size() == 2 ? types[1] : "";
  if (clause.subtype.empty()) {
    if (types.size() > 2 || clause.type != "*") return std::nullopt;
    clause.subtype = "*";
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    const auto pair = split(parts[i], '=');
    if (pair.size() != 2 || pair[1].empty()) continue;
    const std::string_view key = pair[0], value = pair[1];
    if (key == "q") clause.quality = read_quality(value);
    if (key == "as") clause.as = value;
    if (key == "g") clause.group = value;
    if (key == "v") clause.version = value;
    if (key == "as" || key == "g" || key == "v") clause.transforms = true;
    if (key == "stream") clause.stream = value;
    if (key == "sv") clause.server_version = value;
    if (key == "pretty") clause.pretty = value == "1";
  }
  return clause;
}

// By quality, and what is said exactly before what is not. This is no order (of two that each have one of both, either comes first),
// so what comes of it is told by how upstream sorts: by insertion.
std::vector<Clause> read_clauses(std::string_view header) {
  const auto before = [](const Clause& a, const Clause& b) {
    return a.quality > b.quality || (a.type != "*" && b.type == "*") || (a.subtype != "*" && b.subtype == "*");
  };
  std::vector<Clause> clauses;
  for (const std::string_view text : split(header, ',')) {
    auto clause = read_clause(text);
    if (clause) clauses.push_back(*clause);
    if (clauses.size() == kMostClauses) break;
  }
  for (size_t i = 1; i < clauses.size(); ++i)
    for (size_t j = i; j > 0 && before(clauses[j], clauses[j - 1]); --j) std::swap(clauses[j], clauses[j - 1]);
  return clauses;
}

bool wants_pretty(const http::Request& request) {
  if (const auto pretty = request.param("pretty"); pretty && !pretty->empty())
    return *pretty == "true" || *pretty == "1" || *pretty == "True" || *pretty == "t";
  const std::string_view agent = request.header("User-Agent");
  const auto begins = [&](std::string_view with) { return agent.substr(0, with.size()) == with; };
  return begins("curl") || begins("Wget") || begins("Mozilla/5.0");
}

enum class Format { kJson, kYaml, kProtobuf };

struct Spoken {
  Format format;
  std::string_view type, subtype;
};
constexpr Spoken kSpoken[] = {{Format::kJson, "application", "json"},
                              {Format::kYaml, "application", "yaml"},
                              {Format::kProtobuf, "application", "vnd.kubernetes.protobuf"}};

bool matches(const Clause& clause, const Spoken& spoken) {
  if (clause.type == "*") return clause.subtype == "*";
  return clause.type == spoken.type && (clause.subtype == spoken.subtype || clause.subtype == "*");
}

// False where the clause asks for something that this format or this path has not.
bool accept(const Clause& clause, Format format, Forms forms, Output& out) {
  if (!clause.server_version.empty()) return false;
  if (!clause.stream.empty() && (clause.stream != "watch" || format == Format::kYaml)) return false;
  out.yaml = format == Format::kYaml;
  out.protobuf = format == Format::kProtobuf;
  if (clause.pretty) out.pretty = true;
  const bool custom = forms == Forms::kCustom || forms == Forms::kCustomStream;
  if (forms == Forms::kDiscovery) {
    out.discovery = clause.as == "APIGroupDiscoveryList" && clause.group == "apidiscovery.k8s.io" && clause.version == "v2";
    return out.discovery;
  }
  if (!clause.transforms) return !custom || !out.protobuf;
  if (forms == Forms::kPlain || clause.group != "meta.k8s.io" || (clause.version != "v1" && clause.version != "v1beta1")) return false;
  if (clause.as == "Table" && !out.protobuf) {
    out.shape = Shape::kTable;
  } else if (clause.as == "PartialObjectMetadata") {
    out.shape = Shape::kPartial;
  } else if (clause.as == "PartialObjectMetadataList") {
    out.shape = Shape::kPartialList;
  } else {
    return false;
  }
  out.meta_version = clause.version;
  return true;
}

std::optional<Output> choose(const std::vector<Clause>& clauses, Forms forms, const Output& base) {
  for (const Clause& clause : clauses) {
    for (const Spoken& spoken : kSpoken) {
      Output out = base;
      if (matches(clause, spoken) && accept(clause, spoken.format, forms, out)) return out;
    }
  }
  return std::nullopt;
}

}  // namespace

bool takes_gzip(const http::Request& request) {
  const auto codings = split(request.header("Accept-Encoding"), ',');
  return std::find(codings.begin(), codings.end(), "gzip") != codings.end();
}

Status check_route_accepts(const http::Request& request, Route route) {
  constexpr std::string_view kAll[] = {"application/json", kYaml, kProtobuf, "application/json;stream=watch",
                                       "application/vnd.kubernetes.protobuf;stream=watch"};
  constexpr std::string_view kKeys[] = {"application/jwk-set+json"};
  std::span<const std::string_view> made(kAll);
  if (route == Route::kObject) made = made.first(3);
  if (route == Route::kJson) made = made.first(1);
  if (route == Route::kKeys) made = kKeys;
  const std::string_view header = request.header("Accept");
  if (header.empty()) return Status::OK();
  for (const std::string_view clause : split(header, ',')) {
    std::string_view type = clause.substr(0, clause.find(';'));
    while (type.ends_with(' ')) type.remove_suffix(1);
    if (type == "*/*" || std::find(made.begin(), made.end(), type) != made.end()) return Status::OK();
  }
  return Status(406, reason::kNotAcceptable,
                fmt::format("406: Not Acceptable\n\nAvailable representations: {}", fmt::join(made, ", ")))
      .with_details({});
}

Result<Output> negotiate_output(const http::Request& request, Forms forms) {
  Output base;
  base.pretty = wants_pretty(request);
  if (const auto include = request.param("includeObject"); include && !include->empty()) base.include_object = *include;
  const std::string_view header = request.header("Accept");
  if (header.empty()) return base;
  const std::vector<Clause> clauses = read_clauses(header);
  // Wherever it stands among them, the aggregated form goes before the plain one.
  if (forms == Forms::kDiscovery)
    if (const auto aggregated = choose(clauses, forms, base)) return *aggregated;
  const auto chosen = choose(clauses, forms == Forms::kDiscovery ? Forms::kPlain : forms, base);
  const bool stream = forms == Forms::kStream || forms == Forms::kCustomStream;
  if (!chosen) return not_acceptable_error(kSupported);
  if (stream && chosen->yaml) return not_acceptable_error(kSupportedStreams);
  return *chosen;
}

void fit_status(const http::Request& request, http::Response& response) {
  constexpr std::string_view kStatus = R"({"kind":"Status","apiVersion":"v1",)";
  if (response.takeover || !std::string_view(response.body).starts_with(kStatus)) return;
  const auto output = negotiate_output(request, Forms::kPlain);
  if (!output.ok()) {  // no form is wanted: then one for people
    if (const auto document = json::parse(response.body); document.ok()) response.body = json::dump_pretty(*document);
    return;
  }
  if (!output->yaml && !output->protobuf && !output->pretty) return;
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
