// `knarr token`: bootstrap tokens as kubeadm makes them, with which machines join for a while. What is printed for a
// machine has the server's hash in front: see join.h.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/commands.h"
#include "cli/instance.h"
#include "cli/join.h"
#include "knarr/auth/bootstrap.h"
#include "knarr/client/https.h"
#include "knarr/codec/base64.h"
#include "knarr/codec/json.h"
#include "knarr/codec/time.h"

namespace knarr::cli {

namespace {

using auth::BootstrapToken;

constexpr client::ResourceRef kSecrets{"", "v1", "secrets", ""};
constexpr std::string_view kNamespace = "kube-system", kType = "bootstrap.kubernetes.io/token";
constexpr std::string_view kPrefix = "bootstrap-token-", kUsage = "usage-bootstrap-";

// A machine that joins has to reach it: not this machine's loopback, but where the service "kubernetes" leads.
Result<std::string> reachable_url(client::Transport& api) {
  KNARR_ASSIGN(const std::string text, api.get({"", "v1", "endpoints", ""}, "default", "kubernetes"));
  KNARR_ASSIGN(const json::Document endpoints, json::parse(text));
  const json::Value* subsets = json::find(endpoints, "subsets");
  if (!subsets || !subsets->IsArray() || subsets->Empty())
    return not_found("the service \"kubernetes\" has no endpoints; --server says where the API is");
  const json::Value &subset = (*subsets)[0], *addresses = json::find(subset, "addresses"), *ports = json::find(subset, "ports");
  if (!addresses || !addresses->IsArray() || addresses->Empty() || !ports || !ports->IsArray() || ports->Empty())
    return not_found("the service \"kubernetes\" has no address; --server says where the API is");
  const std::string ip(json::get_string((*addresses)[0], "ip"));
  return fmt::format(fmt::runtime(ip.find(':') == ip.npos ? "https://{}:{}" : "https://[{}]:{}"), ip,
                     json::get_int((*ports)[0], "port"));
}

Result<std::string> secret_of(const BootstrapToken& token, const Options& options) {
  KNARR_ASSIGN(const auto ttl, parse_duration(options.text("ttl")));
  if (ttl.count() < 0) return bad_request(fmt::format("--ttl {}: want 0 or more", options.text("ttl")));
  json::Document secret(rapidjson::kObjectType);
  auto& alloc = secret.GetAllocator();
  json::set(secret, "apiVersion", "v1", alloc);
  json::set(secret, "kind", "Secret", alloc);
  json::set(json::ensure_object(secret, {"metadata"}, alloc), "name", fmt::format("{}{}", kPrefix, token.id), alloc);
  json::set(secret, "type", kType, alloc);
  const auto set = [&](std::string_view name, std::string_view value) {
    json::set(json::ensure_object(secret, {"data"}, alloc), name, base64::encode(value), alloc);
  };
  set("token-id", token.id);
  set("token-secret", token.secret);
  if (!options.text("description").empty()) set("description", options.text("description"));
  if (ttl.count() > 0) set("expiration", format_time(Clock::system().wall() + std::chrono::duration_cast<seconds>(ttl)));
  const auto usages = split_list(options.text("usages"));
  for (const std::string& usage : usages) {
    if (usage != "signing" && usage != "authentication")
      return bad_request(fmt::format("--usages \"{}\": want signing, authentication or both", usage));
    set(fmt::format("{}{}", kUsage, usage), "true");
  }
  const auto groups = split_list(options.text("groups"));
  for (const std::string& group : groups) {
    if (!auth::is_bootstrap_group(group))
      return bad_request(fmt::format("--groups \"{}\": want system:bootstrappers:NAME", group));
  }
  const bool authenticates = std::find(usages.begin(), usages.end(), "authentication") != usages.end();
  if (!groups.empty() && authenticates) set("auth-extra-groups", fmt::format("{}", fmt::join(groups, ",")));
  return json::dump(secret);
}

Result<int> create(const Options& options, const http::ClientOptions& access, client::Transport& api) {
  BootstrapToken token;
  if (options.positional().size() > 1) {
    KNARR_ASSIGN(token, BootstrapToken::parse(options.positional()[1]));
  } else {
    token = BootstrapToken::random();
  }
  KNARR_ASSIGN(const std::string secret, secret_of(token, options));
  KNARR_RETURN_IF_ERROR(api.create(kSecrets, kNamespace, "", secret).status());
  KNARR_ASSIGN(const std::string authorities, linux::read_file(access.ca_file));
  const std::string whole = fmt::format("{}.{}", authority_hash(authorities), token.text());
  if (!options.flag("print-join-command")) {
    fmt::print("{}\n", whole);
    return 0;
  }
  std::string url = options.text("server");
  if (url.empty()) {
    KNARR_ASSIGN(url, reachable_url(api));
  }
  fmt::print("knarr agent --server {} --token {}\n", url, whole);
  return 0;
}

struct Row {
  std::string token, left, expires, usages, description, groups;
};

Row row_of(const json::Value& secret, WallTime now) {
  const auto data = [&](std::string_view name) {
    return base64::decode(json::get_string(secret, {"data", name})).value_or("");
  };
  Row row{data("token-id") + "." + data("token-secret"), "<forever>", "<never>", "", data("description"), ""};
  if (const std::string expires = data("expiration"); !expires.empty()) {
    const auto end = parse_time(expires);
    row.expires = expires;
    row.left = !end.ok() || *end < now ? "<invalid>" : human_duration(std::chrono::duration_cast<seconds>(*end - now));
  }
  for (const std::string_view usage : {"authentication", "signing"})
    if (data(fmt::format("{}{}", kUsage, usage)) == "true") row.usages.append(row.usages.empty() ? "" : ",").append(usage);
  row.groups = data("auth-extra-groups");
  for (std::string* text : {&row.usages, &row.description, &row.groups})
    if (text->empty()) *text = "<none>";
  return row;
}

Result<int> list(client::Transport& api) {
  client::ListOptions mine;
  mine.namespace_ = kNamespace;
  mine.field_selector = fmt::format("type={}", kType);
  KNARR_ASSIGN(const std::string text, api.list(kSecrets, mine));
  KNARR_ASSIGN(const json::Document found, json::parse(text));
  std::vector<Row> rows = {{"TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"}};
  if (const json::Value* items = json::find(found, "items"); items && items->IsArray())
    for (const json::Value& item : items->GetArray()) rows.push_back(row_of(item, Clock::system().wall()));
  constexpr std::string Row::*kColumns[] = {&Row::token, &Row::left, &Row::expires, &Row::usages, &Row::description};
  for (const Row& row : rows) {
    std::string line;
    for (const auto column : kColumns) {
      size_t width = 0;
      for (const Row& other : rows) width = std::max(width, (other.*column).size());
      line += fmt::format("{:<{}}", row.*column, width + 3);
    }
    fmt::print("{}{}\n", line, row.groups);
  }
  return 0;
}

Result<int> remove(const Options& options, client::Transport& api) {
  const auto& words = options.positional();
  for (size_t i = 1; i < words.size(); ++i) {
    std::string id = words[i];
    if (id.find('.') != id.npos) {
      KNARR_ASSIGN(const BootstrapToken token, BootstrapToken::parse(id));
      id = token.id;
    }
    const Status gone =
        api.remove(kSecrets, kNamespace, fmt::format("{}{}", kPrefix, id), client::DeleteOptions()).status();
    if (gone.is(reason::kNotFound)) return not_found(fmt::format("there is no bootstrap token \"{}\"; knarr token ls lists them", id));
    KNARR_RETURN_IF_ERROR(gone);
    fmt::print("bootstrap token \"{}\" deleted\n", id);
  }
  return 0;
}

Result<int> run(const Options& options, const std::string& verb) {
  KNARR_ASSIGN(const Instance instance, Instance::existing(options));
  KNARR_ASSIGN(const http::ClientOptions access, admin_access(instance, options));
  KNARR_ASSIGN(const auto api, client::make_https_transport(access));
  if (verb == "create") return create(options, access, *api);
  return verb == "ls" ? list(*api) : remove(options, *api);
}

}  // namespace

int run_token(const Options& options) {
  const auto& words = options.positional();
  const std::string verb = words.empty() ? "" : words[0];
  const bool good = (verb == "create" && words.size() <= 2) || (verb == "ls" && words.size() == 1) ||
                    (verb == "rm" && words.size() >= 2);
  if (!good) return fail_usage("token", "want: knarr token create [TOKEN], knarr token ls, or knarr token rm ID...");
  auto code = run(options, verb);
  return code.ok() ? *code : fail("token " + verb, code.status());
}

}  // namespace knarr::cli
