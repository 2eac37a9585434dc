#include "knarr/cli/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "knarr/codec/json.h"
#include "knarr/codec/yaml.h"
#include "knarr/linux/tree.h"

namespace knarr::cli {

namespace {

constexpr std::string_view kDefaultConfig = "/etc/knarr/config.yaml";

constexpr Option kOptions[] = {
    {"config", "FILE", kDefaultConfig, kUseAll, "configuration file; its keys are the names of these options"},
    {"data-dir", "DIR", "/var/lib/knarr", kUseAll, "where knarr keeps everything: database, keys, images, pods, logs"},
    {"listen", "ADDRESS:PORT", "0.0.0.0:6443", kUseServer, "where the API listens"},
    {"kubeconfig", "FILE", "", kUseServer | kUseStatus | kUseToken,
     "where the admin's kubeconfig is written (default: <data-dir>/kubeconfig)"},
    {"kubeconfig-mode", "MODE", "0600", kUseServer, "permissions of that file, octal"},
    {"tls-san", "NAMES", "", kUseServer, "further names and addresses for the API's certificate, separated by commas"},
    {"token", "TOKEN", "", kUseServer | kUseAgent,
     "secret with which workers join (made at first start; see <data-dir>/token)"},
    {"server", "URL", "", kUseAgent | kUseKubeconfig | kUseToken, "the API server: https://HOST:PORT"},
    {"user", "NAME", "", kUseKubeconfig, "who the credentials are for, as RBAC's rules name them"},
    {"group", "NAMES", "", kUseKubeconfig, "groups of that user, separated by commas"},
    {"days", "COUNT", "365", kUseKubeconfig, "how long the credentials are valid; they cannot be taken back before"},
    {"ttl", "DURATION", "24h", kUseToken, "how long a new token is valid; 0: for ever"},
    {"description", "TEXT", "", kUseToken, "what a new token is for, as people read it"},
    {"usages", "NAMES", "signing,authentication", kUseToken, "what a new token may be used for"},
    {"groups", "NAMES", "system:bootstrappers:kubeadm:default-node-token", kUseToken,
     "groups of whoever shows a new token; those who join need the default one"},
    {"print-join-command", "", "false", kUseToken, "print the whole command with which another machine joins"},
    {"finish", "", "false", kUseCert, "end a rotation: the old authority or key is trusted no more"},
    {"abort", "", "false", kUseCert, "turn a rotation back: the old authority signs again, the new one is trusted no more"},
    {"force", "", "false", kUseCert, "finish without waiting: nodes that do not have the new authority must join again, tokens of the old key are refused"},
    {"disable-agent", "", "false", kUseServer, "run the control plane only: no pods on this machine"},
    {"node-name", "NAME", "", kUseServer | kUseAgent, "name of this node (default: the host name)"},
    {"node-ip", "ADDRESS", "", kUseServer | kUseAgent,
     "address of this node (default: the one towards the default route)"},
    {"node-port", "PORT", "10250", kUseServer | kUseAgent,
     "where the node API listens; another free port when it is taken"},
    {"cluster-cidr", "CIDR", "", kUseServer | kUseAgent,
     "addresses of pods (default: 10.42.0.0/16, or another that is free here)"},
    {"service-cidr", "CIDR", "10.43.0.0/16", kUseServer, "addresses of services"},
    {"node-monitor-grace-period", "DURATION", "50s", kUseServer,
     "a node of which nothing was heard for longer is not ready; agents speak every ten seconds"},
    {"event-ttl", "DURATION", "1h", kUseServer, "how long Events are kept after they last happened"},
    {"pod-max-pids", "COUNT", "0", kUseServer | kUseAgent, "processes that one pod may have; 0: as many as the machine has"},
    {"max-requests-inflight", "COUNT", "400", kUseServer,
     "together with the next one: how many requests are worked on at once; priority levels share them out"},
    {"max-mutating-requests-inflight", "COUNT", "200", kUseServer, "see max-requests-inflight"},
    {"anonymous-auth", "", "true", kUseServer,
     "requests without credentials are system:anonymous, who may do what RBAC says; false: they are refused"},
    {"authorization-mode", "MODES", "Node,RBAC", kUseServer,
     "who decides what a user may do, in turn: Node, RBAC, ABAC, Webhook, AlwaysAllow, AlwaysDeny"},
    {"service-account-issuer", "URL", "https://kubernetes.default.svc.cluster.local", kUseServer,
     "who ServiceAccount tokens say they are from"},
    {"api-audiences", "NAMES", "", kUseServer, "what the API is called in tokens (default: the issuer)"},
    {"service-account-signing-key-file", "FILE", "", kUseServer,
     "private key that signs ServiceAccount tokens (default: <data-dir>/pki/sa.key)"},
    {"service-account-key-file", "FILES", "", kUseServer,
     "further keys, public ones do, with which ServiceAccount tokens may be signed"},
    {"audit-policy-file", "FILE", "", kUseServer, "which requests the audit log records, and how fully (audit.k8s.io/v1)"},
    {"audit-log-path", "FILE", "", kUseServer, "where they are recorded, one JSON line for each stage; -: standard output"},
    {"audit-log-maxsize", "MEGABYTES", "100", kUseServer, "the audit log is put aside when it has grown so far"},
    {"audit-log-maxbackup", "COUNT", "0", kUseServer, "how many old audit logs are kept; 0: all"},
    {"audit-log-maxage", "DAYS", "0", kUseServer, "for how long old audit logs are kept; 0: for ever"},
    {"authorization-policy-file", "FILE", "", kUseServer, "policies of the mode ABAC, one JSON object a line"},
    {"authorization-webhook-config-file", "FILE", "", kUseServer, "kubeconfig of the service that the mode Webhook asks"},
    {"authorization-webhook-cache-authorized-ttl", "DURATION", "5m", kUseServer, "for how long its consent is kept"},
    {"authorization-webhook-cache-unauthorized-ttl", "DURATION", "30s", kUseServer, "for how long its refusal is kept"},
    {"authentication-token-webhook-config-file", "FILE", "", kUseServer,
     "kubeconfig of a service that is asked about bearer tokens (TokenReview)"},
    {"authentication-token-webhook-cache-ttl", "DURATION", "2m", kUseServer, "for how long its answers are kept"},
    {"oidc-issuer-url", "URL", "", kUseServer, "an OpenID Connect issuer whose tokens are accepted"},
    {"oidc-client-id", "ID", "", kUseServer, "the audience that its tokens must have"},
    {"oidc-username-claim", "CLAIM", "sub", kUseServer, "the claim that is the user's name"},
    {"oidc-username-prefix", "TEXT", "", kUseServer,
     "in front of user names; -: nothing (default: the issuer and #, nothing for the claim email)"},
    {"oidc-groups-claim", "CLAIM", "", kUseServer, "the claim that holds the user's groups"},
    {"oidc-groups-prefix", "TEXT", "", kUseServer, "in front of groups"},
    {"oidc-required-claim", "CLAIM=VALUE,...", "", kUseServer, "claims that tokens must have"},
    {"oidc-ca-file", "FILE", "", kUseServer, "who signs the issuer's certificate (default: the system's authorities)"},
    {"oidc-signing-algs", "NAMES", "RS256", kUseServer, "algorithms that its tokens may be signed with"},
    {"insecure-registry", "HOSTS", "", kUseServer | kUseAgent | kUseImage,
     "registries (HOST:PORT, separated by commas) to reach without TLS verification"},
    {"keep-pods", "", "true", kUseServer | kUseAgent,
     "leave pods running when knarr stops; false: end them gracefully"},
    {"log-level", "LEVEL", "info", kUseAll, "debug, info, warn or error"},
    {"log-format", "FORMAT", "text", kUseAll, "text or json"},
};

const Option* find_option(std::string_view name) {
  auto it = std::find_if(std::begin(kOptions), std::end(kOptions), [&](const Option& o) { return o.name == name; });
  return it == std::end(kOptions) ? nullptr : it;
}

bool is_switch(const Option& option) { return option.value.empty(); }

std::string environment_name(std::string_view option) {
  std::string name = "KNARR_";
  for (char c : option) name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

Status usage(std::string message) { return bad_request(std::move(message)); }

Result<std::string> checked(const Option& option, std::string value, std::string_view source) {
  if (is_switch(option) && value != "true" && value != "false") {
    return usage(fmt::format("{}: {} is a switch; want true or false, not \"{}\"", source, option.name, value));
  }
  return value;
}

// A value in the file may be text, a number, a switch, or a list (joined by commas).
Result<std::string> file_value(const std::string& path, std::string_view key, const json::Value& value) {
  if (value.IsString()) return std::string(json::view(value));
  if (value.IsBool()) return std::string(value.GetBool() ? "true" : "false");
  if (value.IsNumber()) return json::dump(value);
  if (value.IsArray()) {
    std::string joined;
    for (const auto& item : value.GetArray()) {
      KNARR_ASSIGN(std::string text, file_value(path, key, item));
      joined += (joined.empty() ? "" : ",") + text;
    }
    return joined;
  }
  return usage(fmt::format("{}: {}: want text, a number, true, false or a list", path, key));
}

}  // namespace

std::span<const Option> option_table() { return kOptions; }

Result<Options> Options::parse(OptionUse use, std::span<const std::string> arguments, const Environment& environment) {
  Options options;
  for (const Option& option : kOptions) {
    if (option.use & use) options.values_.emplace(option.name, option.default_text);
  }

  std::map<std::string, std::string, std::less<>> given;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      options.positional_.insert(options.positional_.end(), arguments.begin() + static_cast<long>(i) + 1,
                                 arguments.end());
      break;
    }
    if (argument == "-h" || argument == "--help") {
      options.help_ = true;
      continue;
    }
    if (!argument.starts_with("--")) {
      if (argument.starts_with("-") && argument != "-")
        return usage(fmt::format("unknown option {}; options begin with --", argument));
      options.positional_.push_back(argument);
      continue;
    }
    auto equals = argument.find('=');
    std::string name = argument.substr(2, equals == std::string::npos ? std::string::npos : equals - 2);
    const Option* option = find_option(name);
    if (!option || !(option->use & use)) return usage(fmt::format("unknown option --{}; see --help", name));
    std::string value;
    if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
    } else if (is_switch(*option)) {
      value = "true";
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return usage(fmt::format("--{} needs a value: {}", name, option->value));
    }
    KNARR_ASSIGN(given[name], checked(*option, value, "command line"));
  }

  for (const Option& option : kOptions) {
    if (!(option.use & use) || given.contains(option.name)) continue;
    std::string name = environment_name(option.name);
    if (const char* value = environment(name.c_str())) {
      KNARR_ASSIGN(given[std::string(option.name)], checked(option, value, name));
    }
  }

  auto config = given.find("config");
  std::string path = config == given.end() ? std::string(kDefaultConfig) : config->second;
  if (config != given.end() || access(path.c_str(), F_OK) == 0) {
    KNARR_ASSIGN(std::string text, linux::read_file(path));
    auto parsed = yaml::parse(text);
    if (!parsed.ok()) return usage(fmt::format("{}: {}", path, parsed.status().message()));
    if (!parsed->IsObject() && !parsed->IsNull())
      return usage(fmt::format("{}: want a mapping of option names to values", path));
    if (parsed->IsObject()) {
      for (const auto& member : parsed->GetObject()) {
        std::string key(json::view(member.name));
        const Option* option = find_option(key);
        if (!option || key == "config")
          return usage(fmt::format("{}: unknown key \"{}\"; keys are the names of the options in --help", path, key));
        if (!(option->use & use) || given.contains(key)) continue;
        KNARR_ASSIGN(std::string value, file_value(path, key, member.value));
        KNARR_ASSIGN(given[key], checked(*option, value, path));
      }
    }
  }

  for (auto& [name, value] : given) {
    options.values_[name] = value;
    options.set_[name] = true;
  }
  return options;
}

const std::string& Options::text(std::string_view name) const {
  static const std::string kEmpty;
  auto it = values_.find(name);
  return it == values_.end() ? kEmpty : it->second;
}

bool Options::flag(std::string_view name) const { return text(name) == "true"; }
Result<int64_t> Options::count(std::string_view name) const {
  const std::string& value = text(name);
  int64_t number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error == std::errc() && end == value.data() + value.size() && number >= 0) return number;
  return usage(fmt::format("--{} \"{}\": want a number, 0 or more", name, value));
}
bool Options::is_set(std::string_view name) const { return set_.contains(name); }

std::string options_help(OptionUse use) {
  std::string help;
  for (const Option& option : kOptions) {
    if (!(option.use & use)) continue;
    std::string left = fmt::format("  --{}{}{}", option.name, is_switch(option) ? "" : " ", option.value);
    help += fmt::format("{:<30} {}", left, option.help);
    if (!option.default_text.empty()) help += fmt::format(" [{}]", option.default_text);
    help += '\n';
  }
  help +=
      "\nEach option can also be set in the environment (KNARR_DATA_DIR=...) or in the configuration file (data-dir: "
      "...).\n";
  return help;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    auto comma = text.find(',');
    if (comma != 0) parts.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return parts;
}

Result<ListenAddress> parse_listen(std::string_view text) {
  ListenAddress listen{"0.0.0.0", 0};
  auto colon = text.rfind(':');
  std::string_view port = colon == std::string_view::npos ? text : text.substr(colon + 1);
  if (colon != std::string_view::npos && colon > 0) {
    std::string_view address = text.substr(0, colon);
    if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
    listen.address = address;
  }
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), listen.port);
  if (error != std::errc() || end != port.data() + port.size() || listen.port < 0 || listen.port > 65535) {
    return bad_request(
        fmt::format("listen address \"{}\": want ADDRESS:PORT, for example 0.0.0.0:6443 or [::]:6443", text));
  }
  return listen;
}

}  // namespace knarr::cli
