// Health checks, version and OpenAPI.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "knarr/schema/machinery.h"
#include "server_impl.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kV3 = "/openapi/v3";
// Clients also ask for it with an @ in front of v1.0, which is no media type that they could read in the answer.
constexpr std::string_view kV2Protobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

void answer_text(http::Response& response, int code, std::string text) {
  response.status = code;
  response.set_header("Content-Type", "text/plain; charset=utf-8");
  response.set_header("X-Content-Type-Options", "nosniff");
  response.body = std::move(text);
}

// The OpenAPI documents that are served, each with the number of the state that its document describes.
std::map<std::string, uint64_t> openapi_documents(const schema::Catalog& catalog) {
  std::map<std::string, uint64_t> out;
  for (const schema::ResourceRef& r : catalog.resources())
    out.try_emplace(r->group.empty() ? fmt::format("api/{}", r->version) : fmt::format("apis/{}/{}", r->group, r->version),
                    catalog.number_of(r->group, r->version));
  for (const std::string& name : schema::openapi_v3_names(catalog)) out.try_emplace(name, 0);  // what never changes
  return out;
}

bool matches_etag(const http::Request& request, std::string_view etag) {
  return request.header("If-None-Match").find(etag) != std::string_view::npos;
}

void answer_document(const http::Request& request, http::Response& response, const Documents::Document& document,
                     std::string_view type = "application/json") {
  response.set_header("ETag", "\"" + document.etag + "\"");
  response.add_header("Vary", "Accept");
  if (matches_etag(request, document.etag)) {
    response.status = 304;
    return;
  }
  response.set_header("Content-Type", std::string(type));
  response.body = document.text;
}

// JSON, or whatever the client takes; only version 2 has a protobuf form here, which is all that Go clients ask for.
bool takes_json(const http::Request& request) {
  const std::string_view accept = request.header("Accept");
  return accept.empty() || accept.find("json") != std::string_view::npos ||
         accept.find("*/*") != std::string_view::npos || accept.find("application/*") != std::string_view::npos;
}

}  // namespace

bool serve_health(const http::Request& request, http::Response& response, const std::vector<Check>& checks) {
  std::string_view path = request.path;
  const size_t slash = path.find('/', 1);
  const std::string_view endpoint = path.substr(0, slash);
  if (endpoint != "/healthz" && endpoint != "/livez" && endpoint != "/readyz") return false;
  const bool only_live = endpoint != "/readyz";
  const std::string_view wanted = slash == std::string_view::npos ? "" : path.substr(slash + 1);
  const auto excluded = request.params("exclude");

  std::string report;
  std::vector<std::string> failed;
  bool found = false;
  for (const Check& check : checks) {
    if (only_live && !check.live) continue;
    if (!wanted.empty() && check.name != wanted) continue;
    found = true;
    if (std::find(excluded.begin(), excluded.end(), check.name) != excluded.end()) {
      report += fmt::format("[+]{} excluded: ok\n", check.name);
    } else if (const Status status = check.check(); status.ok()) {
      report += fmt::format("[+]{} ok\n", check.name);
    } else {
      report += fmt::format("[-]{} failed: reason withheld\n", check.name);
      failed.push_back(check.name);
    }
  }
  std::vector<std::string> unmatched;
  for (const std::string_view check : excluded) {
    const bool known = std::any_of(checks.begin(), checks.end(), [&](const Check& c) { return c.name == check && (!only_live || c.live); });
    if (!known) unmatched.push_back(fmt::format("\"{}\"", check));
  }
  if (!unmatched.empty())
    report += fmt::format("warn: some health checks cannot be excluded: no matches for {}\n", fmt::join(unmatched, ", "));
  const std::string_view name = endpoint.substr(1);
  if (slash != std::string_view::npos && (wanted.empty() || !found)) {
    answer_text(response, 404, fmt::format("404 page not found\n"));
  } else if (!failed.empty()) {
    answer_text(response, 500, fmt::format("{}{} check failed\n", report, name));
  } else if (wanted.empty() && request.param("verbose")) {
    answer_text(response, 200, fmt::format("{}{} check passed\n", report, name));
  } else {
    answer_text(response, 200, "ok");
  }
  return true;
}

std::string version_json(std::string_view suffix) {
#if defined(__aarch64__)
  constexpr std::string_view kPlatform = "linux/arm64";
#else
  constexpr std::string_view kPlatform = "linux/amd64";
#endif
  return fmt::format(
      "{{\n  \"major\": \"1\",\n  \"minor\": \"36\",\n  \"emulationMajor\": \"1\",\n  \"emulationMinor\": \"36\",\n"
      "  \"minCompatibilityMajor\": \"1\",\n  \"minCompatibilityMinor\": \"35\",\n  \"gitVersion\": \"v1.36.3+{}\",\n"
      "  \"gitCommit\": \"\",\n  \"gitTreeState\": \"clean\",\n  \"buildDate\": \"1970-01-01T00:00:00Z\",\n"
      "  \"goVersion\": \"none\",\n  \"compiler\": \"g++\",\n  \"platform\": \"{}\"\n}}",
      suffix, kPlatform);
}

bool serve_openapi(const http::Request& request, http::Response& response, Documents& documents,
                   const schema::Catalog& catalog) {
  const std::string_view path = request.path;
  const bool v2 = path == "/openapi/v2";
  if (!v2 && path.substr(0, kV3.size()) != kV3) return false;
  if (v2 && request.header("Accept").starts_with(kV2Protobuf.substr(0, kV2Protobuf.find(".v1.0")))) {
    const auto text = documents.get("openapi v2", catalog.number(), [&] { return schema::openapi_v2(catalog); });
    const auto make = [&] { return schema::openapi_v2_protobuf(text->text); };
    answer_document(request, response, *documents.get("openapi v2 protobuf", catalog.number(), make), kV2Protobuf);
    return true;
  }
  if (!takes_json(request)) {
    answer_status(response, not_acceptable_error("application/json"));
    return true;
  }
  if (v2) {
    answer_document(request, response,
                    *documents.get("openapi v2", catalog.number(), [&] { return schema::openapi_v2(catalog); }));
    return true;
  }
  const auto known = openapi_documents(catalog);
  const auto document_of = [&](const std::string& group_version) {
    return documents.get("openapi v3 " + group_version, known.at(group_version),
                         [&] { return schema::openapi_v3(catalog, group_version); });
  };
  if (path == kV3 || path == "/openapi/v3/") {
    // A document's hash is in its URL, so that clients keep it until it changes.
    std::string paths;
    for (const auto& [group_version, number] : known)
      paths += fmt::format("{}\"{}\":{{\"serverRelativeURL\":\"{}/{}?hash={}\"}}", paths.empty() ? "" : ",",
                           group_version, kV3, group_version, document_of(group_version)->etag);
    Documents::Document index;
    index.text = "{\"paths\":{" + paths + "}}";
    index.etag = fmt::format("{:016X}", std::hash<std::string>()(index.text));
    answer_document(request, response, index);
    return true;
  }
  const std::string group_version(path.substr(std::min(kV3.size() + 1, path.size())));
  if (!known.contains(group_version)) return false;
  const auto document = document_of(group_version);
  const auto hash = request.param("hash");
  if (hash && *hash != document->etag) {
    response.status = 301;
    response.set_header("Location", fmt::format("{}/{}?hash={}", kV3, group_version, document->etag));
    return true;
  }
  answer_document(request, response, *document);
  if (hash) {
    response.set_header("Cache-Control", "public, immutable");
    response.set_header("Expires", "Fri, 01 Jan 2100 00:00:00 GMT");
  }
  return true;
}

}  // namespace knarr::apiserver
