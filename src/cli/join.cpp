#include "cli/join.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include "knarr/apiserver/server.h"
#include "knarr/auth/bootstrap.h"
#include "knarr/auth/hash.h"
#include "knarr/codec/json.h"
#include "knarr/codec/names.h"
#include "knarr/codec/time.h"
#include "knarr/http/client.h"
#include "knarr/linux/file_set.h"

namespace knarr::cli {

namespace {

constexpr std::string_view kCaPath = "/knarr/v1/ca";
constexpr std::string_view kJoinPath = "/knarr/v1/join";
constexpr std::chrono::hours kRenewBefore{24 * 365 / 3};  // what is left of a year's certificate when it is renewed
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

bool is_node(const http::Request& request, const std::string& name) {
  const auth::CertificateSpec spec = client_spec(name);
  return request.peer && request.peer->common_name == spec.common_name &&
         request.peer->organizations == spec.organizations;
}

bool may_join(const JoinOptions& options, const http::Request& request) {
  const std::string_view token = auth::bearer_token(request);
  if (same_secret(secret_of(token), secret_of(options.token))) return true;
  const auto found = options.bootstrap->lookup(token, {});
  return found.ok() && *found && (*found)->user.in_group(auth::kNodeTokenGroup);
}

void answer_error(http::Response& response, const Status& status) {
  apiserver::ApiServer::error_body(status.code(), status.message(), response);
}

// Parses {"nodeName": ..., "addresses": [...]} and answers {"ca", "clientCertificate", "clientKey",
// "servingCertificate", "servingKey"}.
Result<std::string> issue_credentials(const JoinOptions& options, const http::Request& asked) {
  KNARR_ASSIGN(json::Document request, json::parse(asked.body));
  std::string name(json::get_string(request, "nodeName"));
  if (auto problems = names::dns1123_subdomain(name); !problems.empty()) {
    return bad_request(fmt::format("join: node name \"{}\": {}", name, problems[0]));
  }
  const bool itself = is_node(asked, name);
  if (!itself && !may_join(options, asked)) {
    return Status(401, reason::kUnauthorized,
                  "join: the token is not this server's, or has expired; see <data-dir>/token on the server, or knarr "
                  "token create there");
  }
  if (!itself && is_alive(*options.store, name)) {
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
  KNARR_ASSIGN(auth::KeyPair client, options.ca.issue(client_spec(name)));
  KNARR_ASSIGN(auth::KeyPair serving, options.ca.issue(serving_spec(name, addresses)));
  json::Document answer(rapidjson::kObjectType);
  auto& alloc = answer.GetAllocator();
  json::set(answer, "ca", options.ca.trusted_pem(), alloc);
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
  KNARR_RETURN_IF_ERROR(linux::replace_file(directory + "/ca.crt", ca.trusted_pem(), 0644));
  KNARR_RETURN_IF_ERROR(ca.ensure_in(directory, "client", client_spec(node_name)).status());
  return ca.ensure_in(directory, "serving", serving_spec(node_name, addresses)).status();
}

std::string authority_hash(std::string_view bundle_pem) {
  const auto certificates = auth::split_certificates(bundle_pem);
  return certificates.empty() ? std::string() : sha256_hex(certificates[0]);
}

std::string authority_of(std::string_view token, std::string_view bundle_pem) {
  for (std::string& certificate : auth::split_certificates(bundle_pem))
    if (sha256_hex(certificate) == token.substr(0, token.find('.'))) return std::move(certificate);
  return {};
}

Result<std::string> join_token(const Instance& instance, const auth::CertificateAuthority& ca,
                               const std::string& given) {
  if (!given.empty() && secret_of(given).size() < 16)
    return bad_request("--token: the secret has fewer than 16 characters");
  std::string known;
  if (access(instance.token_file().c_str(), F_OK) == 0) {
    KNARR_ASSIGN(known, linux::read_file(instance.token_file()));
    known = trimmed(std::move(known));
  }
  std::string secret(secret_of(given.empty() ? known : given));
  if (secret.empty()) secret = random_hex(32);
  const std::string token = fmt::format("{}.{}", authority_hash(ca.certificate_pem()), secret);
  if (token != known) KNARR_RETURN_IF_ERROR(linux::replace_file(instance.token_file(), token + "\n", 0600));
  return token;
}

http::Handler with_join(http::Handler next, JoinOptions given) {
  auto options = std::make_shared<const JoinOptions>(std::move(given));
  return [next = std::move(next), options](const http::Request& request, http::Response& response) {
    if (!request.path.starts_with(kJoinPrefix)) return next(request, response);
    if (request.path == kCaPath && request.method == "GET") {
      response.set_header("Content-Type", "application/x-pem-file");
      response.body = options->ca.trusted_pem();
      return;
    }
    if (request.path != kJoinPath || request.method != "POST")
      return answer_error(response, not_found("there is no " + request.path));
    auto credentials = issue_credentials(*options, request);
    if (!credentials.ok()) return answer_error(response, credentials.status());
    response.set_header("Content-Type", "application/json");
    response.body = std::move(credentials).value();
  };
}

namespace {

// Asks for credentials and writes them down, all of them or none.
Status fetch_credentials(http::Client& client, const std::string& server_url, const std::string& node_name,
                         const std::vector<std::string>& addresses, const std::string& directory) {
  json::Document request(rapidjson::kObjectType);
  auto& alloc = request.GetAllocator();
  json::set(request, "nodeName", node_name, alloc);
  json::Value list(rapidjson::kArrayType);
  for (const auto& address : addresses) list.PushBack(json::string(address, alloc), alloc);
  json::set(request, "addresses", std::move(list), alloc);
  KNARR_ASSIGN(auto answer, client.send({.method = "POST",
                                         .target = std::string(kJoinPath),
                                         .headers = {{"Content-Type", "application/json"}},
                                         .body = json::dump(request)}));
  KNARR_ASSIGN(json::Document credentials, json::parse(answer.body));
  if (answer.status != 200) {
    return {answer.status, json::get_string(credentials, "reason"),
            fmt::format("join {}: {}", server_url, json::get_string(credentials, "message"))};
  }
  struct {
    std::string_view key, file;
    mode_t mode;
  } constexpr kFiles[] = {{"ca", "ca.crt", 0644},
                          {"servingKey", "serving.key", 0600},
                          {"servingCertificate", "serving.crt", 0644},
                          {"clientKey", "client.key", 0600},
                          {"clientCertificate", "client.crt", 0644}};
  std::vector<linux::FileChange> changes;
  for (const auto& file : kFiles)
    changes.push_back({std::string(file.file), std::string(json::get_string(credentials, file.key)), file.mode});
  KNARR_RETURN_IF_ERROR(linux::make_directories(directory, 0700));
  return linux::replace_files(directory, changes);
}

}  // namespace

Status join(const std::string& server_url, const std::string& token, const std::string& node_name,
            const std::vector<std::string>& addresses, const std::string& directory) {
  auto dot = token.find('.');
  if (dot == std::string::npos)
    return bad_request("--token: want the whole token of the server, <hash>.<secret>; see <data-dir>/token there");

  // The first answer is only believed if among it is the certificate whose hash the token carries: that one is trusted.
  KNARR_ASSIGN(auto stranger, http::Client::make({.url = server_url, .insecure_skip_verify = true}));
  KNARR_ASSIGN(auto answer, stranger->send({.target = std::string(kCaPath)}));
  if (answer.status != 200)
    return unavailable(fmt::format("join {}: asked for its CA certificate, got HTTP {}; is this a knarr server?",
                                   server_url, answer.status));
  const std::string named = authority_of(token, answer.body);
  if (named.empty()) {
    return {403, reason::kForbidden,
            fmt::format(
                "join {}: its CA certificate is not the one that the token names; wrong server, or someone in between",
                server_url)};
  }
  KNARR_ASSIGN(auto client,
               http::Client::make({.url = server_url, .ca_pem = named, .bearer_token = token.substr(dot + 1)}));
  return fetch_credentials(*client, server_url, node_name, addresses, directory);
}

Status renew_credentials(const std::string& server_url, const std::string& node_name,
                         const std::vector<std::string>& addresses, const std::string& directory, bool wanted) {
  if (!wanted) {
    KNARR_ASSIGN(const std::string pem, linux::read_file(directory + "/client.crt"));
    KNARR_ASSIGN(const auth::CertificateInfo info, auth::read_certificate(pem));
    if (info.not_after - Clock::system().wall() > kRenewBefore) return {};
  }
  KNARR_ASSIGN(auto client, http::Client::make({.url = server_url,
                                                .ca_file = directory + "/ca.crt",
                                                .certificate_file = directory + "/client.crt",
                                                .key_file = directory + "/client.key"}));
  return fetch_credentials(*client, server_url, node_name, addresses, directory);
}

}  // namespace knarr::cli
