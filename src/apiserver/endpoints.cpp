// Version and OpenAPI.
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
  if (!v2 && path != kV3 && !path.starts_with("/openapi/v3/")) return false;
  if (v2 && request.header("Accept").starts_with(kV2Protobuf.substr(0, kV2Protobuf.find(".v1.0")))) {
    const auto text = documents.get("openapi v2", catalog.number(), [&] { return schema::openapi_v2(catalog); });
    const auto make = [&] { return schema::openapi_v2_protobuf(text->text); };
    answer_document(request, response, *documents.get("openapi v2 protobuf", catalog.number(), make), kV2Protobuf);
    return true;
  }
  const bool index = path == kV3;
  if (!index && !takes_json(request)) {
    response.status = 406;
    response.add_header("Vary", "Accept");
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
  if (index) {
    // A document's hash is in its URL, so that clients keep it until it changes.
    std::string paths;
    for (const auto& [group_version, number] : known)
      paths += fmt::format("{}\"{}\":{{\"serverRelativeURL\":\"{}/{}?hash={}\"}}", paths.empty() ? "" : ",",
                           group_version, kV3, group_version, document_of(group_version)->etag);
    response.set_header("Content-Type", "text/plain; charset=utf-8");  // as upstream calls it
    response.body = "{\"paths\":{" + paths + "}}";
    return true;
  }
  const std::string group_version(path.substr(std::min(kV3.size() + 1, path.size())));
  if (!known.contains(group_version)) {
    response.status = 404;
    return true;
  }
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
