#include "cli/join.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include "knarr/apiserver/server.h"
#include "knarr/auth/hash.h"
#include "knarr/codec/json.h"
#include "knarr/codec/names.h"
#include "knarr/codec/time.h"
#include "knarr/http/client.h"

namespace knarr::cli {

namespace {

constexpr std::string_view kCaPath = "/knarr/v1/ca";
constexpr std::string_view kJoinPath = "/knarr/v1/join";
constexpr seconds kAlive{50};  // after its last heartbeat, as upstream's node lifecycle has it

std::string sha256_hex(std::string_view bytes) {
  std::string text;
  for (unsigned char byte : auth::sha256(bytes)) text += fmt::format("{:02x}", byte);
  return text;
}

std::string_view secret_of(std::string_view token) {
  auto dot = token.find('.');
  return dot == std::string_view::npos ? token : token.substr(dot + 1);
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

auth::CertificateSpec client_spec(const std::string& node_name) {
  return {.common_name = "system:node:" + node_name,
          .organizations = {"system:nodes"},
          .dns_names = {},
          .ip_addresses = {},
          .client = true};
}

auth::CertificateSpec serving_spec(const std::string& node_name, const std::vector<std::string>& addresses) {
  return {.common_name = "system:node:" + node_name,
          .organizations = {"system:nodes"},
          .dns_names = {node_name},
          .ip_addresses = addresses,
          .server = true};
}

// Its lease was renewed not long ago.
bool is_alive(store::Store& store, const std::string& node) {
  const auto object = store.get(store.resource("leases.coordination.k8s.io"), "kube-node-lease/" + node);
  const auto document = object ? json::parse(object->value) : Result<json::Document>(json::Document());
  if (!document.ok()) return false;
  const auto renewed = parse_time(json::get_string(*document, {"spec", "renewTime"}));
  return renewed.ok() && Clock::system().wall() - *renewed < kAlive;
}

void answer_error(http::Response& response, const Status& status) {
  apiserver::ApiServer::error_body(status.code(), status.message(), response);
}

// Parses {"nodeName": ..., "addresses": [...]} and answers {"ca", "clientCertificate", "clientKey",
// "servingCertificate", "servingKey"}.
Result<std::string> issue_credentials(const auth::CertificateAuthority& ca, const http::Request& asked,
                                      store::Store& store) {
  KNARR_ASSIGN(json::Document request, json::parse(asked.body));
  std::string name(json::get_string(request, "nodeName"));
  if (auto problems = names::dns1123_subdomain(name); !problems.empty()) {
    return bad_request(fmt::format("join: node name \"{}\": {}", name, problems[0]));
  }
  const bool itself = asked.peer && asked.peer->common_name == client_spec(name).common_name;
  if (!itself && is_alive(store, name)) {
    return Status(409, reason::kConflict,
                  fmt::format("join: a node \"{}\" is there and alive; choose another --node-name, or if this machine is "
                              "that node and lost its data directory, wait a minute after it stopped",
                              name));
  }
  std::vector<std::string> addresses;
  if (const json::Value* list = json::find(request, "addresses"); list && list->IsArray()) {
    for (const auto& address : list->GetArray()) {
      if (address.IsString()) addresses.emplace_back(json::view(address));
    }
  }
  KNARR_ASSIGN(auth::KeyPair client, ca.issue(client_spec(name)));
  KNARR_ASSIGN(auth::KeyPair serving, ca.issue(serving_spec(name, addresses)));
  json::Document answer(rapidjson::kObjectType);
  auto& alloc = answer.GetAllocator();
  json::set(answer, "ca", ca.certificate_pem(), alloc);
  json::set(answer, "clientCertificate", client.certificate_pem, alloc);
  json::set(answer, "clientKey", client.key_pem, alloc);
  json::set(answer, "servingCertificate", serving.certificate_pem, alloc);
  json::set(answer, "servingKey", serving.key_pem, alloc);
  return json::dump(answer);
}

}  // namespace

Status write_agent_credentials(const auth::CertificateAuthority& ca, const std::string& directory,
                               const std::string& node_name, const std::vector<std::string>& addresses) {
  KNARR_RETURN_IF_ERROR(linux::make_directories(directory, 0700));
  KNARR_RETURN_IF_ERROR(linux::replace_file(directory + "/ca.crt", ca.certificate_pem(), 0644));
  KNARR_RETURN_IF_ERROR(ca.ensure_in(directory, "client", client_spec(node_name)).status());
  return ca.ensure_in(directory, "serving", serving_spec(node_name, addresses)).status();
}

Result<std::string> join_token(const Instance& instance, const auth::CertificateAuthority& ca,
                               const std::string& given) {
  std::string prefix = sha256_hex(ca.certificate_pem()) + ".";
  if (!given.empty()) {
    if (secret_of(given).size() < 16) return bad_request("--token: the secret has fewer than 16 characters");
    std::string token = prefix + std::string(secret_of(given));
    KNARR_RETURN_IF_ERROR(linux::replace_file(instance.token_file(), token + "\n", 0600));
    return token;
  }
  return keep_in_file(instance.token_file(), 0600, [&] { return Result<std::string>(prefix + random_hex(32)); });
}

http::Handler with_join(http::Handler next, const auth::CertificateAuthority& ca, const std::string& token,
                        store::Store& store) {
  return [next = std::move(next), &ca, token, &store](const http::Request& request, http::Response& response) {
    if (!request.path.starts_with(kJoinPrefix)) return next(request, response);
    if (request.path == kCaPath && request.method == "GET") {
      response.set_header("Content-Type", "application/x-pem-file");
      response.body = ca.certificate_pem();
      return;
    }
    if (request.path != kJoinPath || request.method != "POST")
      return answer_error(response, not_found("there is no " + request.path));
    std::string_view bearer = request.header("Authorization");
    if (!bearer.starts_with("Bearer ") || !same_secret(secret_of(bearer.substr(7)), secret_of(token))) {
      return answer_error(response, {401, reason::kUnauthorized,
                                     "join: the token is not this server's; see <data-dir>/token on the server"});
    }
    auto credentials = issue_credentials(ca, request, store);
    if (!credentials.ok()) return answer_error(response, credentials.status());
    response.set_header("Content-Type", "application/json");
    response.body = std::move(credentials).value();
  };
}

Status join(const std::string& server_url, const std::string& token, const std::string& node_name,
            const std::vector<std::string>& addresses, const std::string& directory) {
  auto dot = token.find('.');
  if (dot == std::string::npos)
    return bad_request("--token: want the whole token of the server, <hash>.<secret>; see <data-dir>/token there");

  // The first answer is only believed if it is the certificate whose hash the token carries.
  KNARR_ASSIGN(auto stranger, http::Client::make({.url = server_url, .insecure_skip_verify = true}));
  KNARR_ASSIGN(auto ca, stranger->send({.target = std::string(kCaPath)}));
  if (ca.status != 200)
    return unavailable(fmt::format("join {}: asked for its CA certificate, got HTTP {}; is this a knarr server?",
                                   server_url, ca.status));
  if (sha256_hex(ca.body) != token.substr(0, dot)) {
    return {403, reason::kForbidden,
            fmt::format(
                "join {}: its CA certificate is not the one that the token names; wrong server, or someone in between",
                server_url)};
  }

  json::Document request(rapidjson::kObjectType);
  auto& alloc = request.GetAllocator();
  json::set(request, "nodeName", node_name, alloc);
  json::Value list(rapidjson::kArrayType);
  for (const auto& address : addresses) list.PushBack(json::string(address, alloc), alloc);
  json::set(request, "addresses", std::move(list), alloc);
  KNARR_ASSIGN(auto client,
               http::Client::make({.url = server_url, .ca_pem = ca.body, .bearer_token = token.substr(dot + 1)}));
  KNARR_ASSIGN(auto answer, client->send({.method = "POST",
                                          .target = std::string(kJoinPath),
                                          .headers = {{"Content-Type", "application/json"}},
                                          .body = json::dump(request)}));
  KNARR_ASSIGN(json::Document credentials, json::parse(answer.body));
  if (answer.status != 200) {
    return {answer.status, json::get_string(credentials, "reason"),
            fmt::format("join {}: {}", server_url, json::get_string(credentials, "message"))};
  }
  KNARR_RETURN_IF_ERROR(linux::make_directories(directory, 0700));
  struct {
    std::string_view key, file;
    int mode;
  } constexpr kFiles[] = {{"ca", "ca.crt", 0644},
                          {"servingKey", "serving.key", 0600},
                          {"servingCertificate", "serving.crt", 0644},
                          {"clientKey", "client.key", 0600},
                          {"clientCertificate", "client.crt", 0644}};
  for (const auto& file : kFiles) {
    KNARR_RETURN_IF_ERROR(linux::replace_file(fmt::format("{}/{}", directory, file.file),
                                              std::string(json::get_string(credentials, file.key)), file.mode));
  }
  return {};
}

}  // namespace knarr::cli
