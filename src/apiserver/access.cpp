#include "access.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>

#include "audit_trail.h"
#include "knarr/base/sync.h"
#include "knarr/codec/names.h"

namespace knarr::apiserver {

namespace {

constexpr std::string_view kNodePrefix = "system:node:";
constexpr std::string_view kAccountPrefix = "system:serviceaccount:";
constexpr std::string_view kAuthentication = "authentication.k8s.io";
constexpr size_t kManyValues = 4;  // from here on a single question about "*" is asked first

Status refused_or_ok(auth::Authorizer* authorizer, const auth::Attributes& attributes) {
  const auth::Authorization answer = authorizer ? authorizer->authorize(attributes) : auth::Authorization();
  if (answer.decision == auth::Decision::kAllow) return Status::OK();
  return auth::forbidden(attributes, answer.reason);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// %xx decoded; a key that is not well formed stays as it is.
std::string unescaped(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0) return text;
    out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
    i += 2;
  }
  return out;
}

auth::UserInfo wanted_user(const http::Request& request) {
  constexpr std::string_view kExtra = "impersonate-extra-";
  auth::UserInfo wanted;
  for (const auto& [key, value] : request.headers) {
    if (key.empty() || (key.front() | 0x20) != 'i') continue;
    const std::string name = lower(key);
    if (name == "impersonate-user" && wanted.name.empty()) wanted.name = value;
    if (name == "impersonate-group") wanted.groups.push_back(value);
    if (name == "impersonate-uid" && wanted.uid.empty()) wanted.uid = value;
    if (name.starts_with(kExtra)) wanted.extra[unescaped(name.substr(kExtra.size()))].push_back(value);
  }
  return wanted;
}

std::string_view node_of(std::string_view user) {
  if (!user.starts_with(kNodePrefix)) return {};
  user.remove_prefix(kNodePrefix.size());
  return names::dns1123_subdomain(user).empty() ? user : std::string_view();
}

struct Account {
  std::string_view ns, name;
};
std::optional<Account> account_of(std::string_view user) {
  if (!user.starts_with(kAccountPrefix)) return {};
  user.remove_prefix(kAccountPrefix.size());
  const size_t colon = user.find(':');
  if (colon == user.npos || user.find(':', colon + 1) != user.npos) return {};
  const Account account{user.substr(0, colon), user.substr(colon + 1)};
  if (!names::dns1123_label(account.ns).empty() || !names::dns1123_subdomain(account.name).empty()) return {};
  return account;
}

// One way to be allowed to speak for somebody. Upstream's names; "" is the old way, the verb "impersonate" alone.
enum class Mode { kAssociatedNode, kArbitraryNode, kServiceAccount, kUserInfo, kLegacy };

// Which way the one who asks was last allowed: it is tried first, which saves questions.
class LastModes {
 public:
  std::optional<Mode> find(const std::string& user) {
    Lock lock(mutex_);
    const auto known = modes_.find(user);
    return known == modes_.end() ? std::nullopt : std::optional<Mode>(known->second);
  }
  void remember(const std::string& user, Mode mode) {
    Lock lock(mutex_);
    if (modes_.size() >= kMost) modes_.clear();
    modes_.insert_or_assign(user, mode);
  }

 private:
  static constexpr size_t kMost = 10000;
  Mutex mutex_;
  std::unordered_map<std::string, Mode> modes_ KNARR_GUARDED_BY(mutex_);
};

LastModes& last_modes() {
  static LastModes modes;
  return modes;
}

class Impersonation {
 public:
  Impersonation(auth::Authorizer* authorizer, const Exchange& exchange, const auth::UserInfo& wanted)
      : authorizer_(authorizer), exchange_(exchange), wanted_(wanted) {}

  // OK: `out` is who the request is from now on. The ways are tried in turn; the first one's refusal is told.
  Status run(auth::UserInfo& out, std::string& permission) {
    Status first;
    std::vector<Mode> modes = {Mode::kAssociatedNode, Mode::kArbitraryNode, Mode::kServiceAccount, Mode::kUserInfo, Mode::kLegacy};
    const std::optional<Mode> last = last_modes().find(exchange_.user.name);
    if (last) {
      std::erase(modes, *last);
      modes.insert(modes.begin(), *last);
    }
    for (const Mode mode : modes) {
      if (!applies(mode)) continue;
      out = wanted_;
      Status status = check(mode, out);
      if (status.ok()) {
        if (mode != Mode::kLegacy) permission = fmt::format("impersonate:{}", name_of(mode));
        if (last != mode) last_modes().remember(exchange_.user.name, mode);
        add_group(out);
        return status;
      }
      if (first.ok()) first = std::move(status);
    }
    return first;
  }

 private:
  static std::string_view name_of(Mode mode) {
    constexpr std::array<std::string_view, 4> kNames = {"associated-node", "arbitrary-node", "serviceaccount",
                                                        "user-info"};
    return kNames[static_cast<size_t>(mode)];
  }

  bool only_name() const { return wanted_.groups.empty() && wanted_.uid.empty() && wanted_.extra.empty(); }

  bool applies(Mode mode) const {
    const std::string_view node = node_of(wanted_.name);
    switch (mode) {
      case Mode::kAssociatedNode: {
        if (!only_name() || node.empty() || !account_of(exchange_.user.name)) return false;
        const auto told = exchange_.user.extra.find("authentication.kubernetes.io/node-name");
        return told != exchange_.user.extra.end() && told->second.size() == 1 && told->second[0] == node;
      }
      case Mode::kArbitraryNode:
        return only_name() && !node.empty();
      case Mode::kServiceAccount:
        return only_name() && account_of(wanted_.name);
      case Mode::kUserInfo:
        return node.empty() && !account_of(wanted_.name);
      case Mode::kLegacy:
        return true;
    }
    return false;
  }

  Status check(Mode mode, auth::UserInfo& out) {
    const bool legacy = mode == Mode::kLegacy;
    std::string verb = "impersonate";
    if (!legacy) {
      verb += fmt::format(":{}", name_of(mode));
      const std::string on = fmt::format("impersonate-on:{}:{}", name_of(mode), exchange_.info.verb);
      auth::Attributes request = attributes_of(exchange_);
      request.verb = on;
      KNARR_RETURN_IF_ERROR(refused_or_ok(authorizer_, request));
    }
    auth::Attributes a;
    a.user = &exchange_.user;
    a.verb = verb;
    a.resource_request = true;
    a.version = "v1";
    a.group = legacy ? std::string_view() : kAuthentication;
    a.resource = "users";
    a.name = wanted_.name;
    if (const std::string_view node = node_of(wanted_.name); !legacy && !node.empty()) {
      a.resource = "nodes";
      a.name = mode == Mode::kAssociatedNode ? std::string_view("*") : node;
      out.groups = {std::string(auth::kGroupNodes)};
    }
    if (const auto account = account_of(wanted_.name)) {
      a.resource = "serviceaccounts";
      a.ns = account->ns;
      a.name = account->name;
      if (wanted_.groups.empty()) out.groups = auth::service_account_user(account->ns, account->name, "").groups;
    }
    KNARR_RETURN_IF_ERROR(refused_or_ok(authorizer_, a));
    a.ns = {};
    if (!wanted_.uid.empty()) {
      auth::Attributes uid = a;
      uid.group = kAuthentication;
      uid.resource = "uids";
      uid.name = wanted_.uid;
      KNARR_RETURN_IF_ERROR(refused_or_ok(authorizer_, uid));
    }
    KNARR_RETURN_IF_ERROR(check_groups(a, legacy));
    return check_extra(a, legacy);
  }

  Status check_groups(auth::Attributes a, bool legacy) {
    a.resource = "groups";
    a.name = {};
    const auto& groups = wanted_.groups;
    if (!legacy) {
      if (wanted_.in_group("")) return auth::forbidden(a, "impersonating the empty string group is not allowed");
      if (wanted_.in_group(auth::kGroupMasters)) {
        a.name = auth::kGroupMasters;
        return auth::forbidden(a, "impersonating the system:masters group is not allowed");
      }
      a.name = "*";
      if (groups.size() >= kManyValues && refused_or_ok(authorizer_, a).ok()) return Status::OK();
    }
    for (const std::string& group : groups) {
      a.name = group;
      KNARR_RETURN_IF_ERROR(refused_or_ok(authorizer_, a));
    }
    return Status::OK();
  }

  Status check_extra(auth::Attributes a, bool legacy) {
    a.group = kAuthentication;
    a.resource = "userextras";
    a.name = {};
    if (!legacy) {
      size_t count = 0;
      for (const auto& [key, values] : wanted_.extra) {
        if (key.empty()) return auth::forbidden(a, "impersonating the empty string key in extra is not allowed");
        if (key.find('/') == key.npos)
          return auth::forbidden(a, fmt::format("impersonating an invalid key in extra is not allowed: extra.key: "
                                                "Invalid value: \"{}\": must be a domain-prefixed path (such as "
                                                "\"acme.io/foo\")",
                                                key));
        if (std::find(values.begin(), values.end(), "") != values.end())
          return auth::forbidden(a, "impersonating the empty string value in extra is not allowed");
        count += values.size();
      }
      a.subresource = a.name = "*";
      if (count >= kManyValues && refused_or_ok(authorizer_, a).ok()) return Status::OK();
    }
    for (const auto& [key, values] : wanted_.extra) {
      a.subresource = key;
      for (const std::string& value : values) {
        a.name = value;
        KNARR_RETURN_IF_ERROR(refused_or_ok(authorizer_, a));
      }
    }
    return Status::OK();
  }

  static void add_group(auth::UserInfo& user) {
    const bool anonymous = user.name == auth::kUserAnonymous;
    if (!anonymous && user.in_group(auth::kGroupUnauthenticated)) return;
    const std::string_view group = anonymous ? auth::kGroupUnauthenticated : auth::kGroupAuthenticated;
    if (!user.in_group(group)) user.groups.emplace_back(group);
  }

  auth::Authorizer* authorizer_;
  const Exchange& exchange_;
  const auth::UserInfo& wanted_;
};

// As Go prints the user of such a request.
std::string describe(const auth::UserInfo& user) {
  const auto strings = [](const std::vector<std::string>& items, std::string_view type) {
    std::string out;
    for (const std::string& item : items) {
      if (!out.empty()) out += ", ";
      json::append_quoted(out, item);
    }
    return items.empty() ? fmt::format("{}(nil)", type) : fmt::format("{}{{{}}}", type, out);
  };
  std::string name, uid, extra;
  json::append_quoted(name, user.name);
  json::append_quoted(uid, user.uid);
  for (const auto& [key, values] : user.extra) {
    if (!extra.empty()) extra += ", ";
    json::append_quoted(extra, key);
    extra += ":" + strings(values, "[]string");
  }
  return fmt::format("&user.DefaultInfo{{Name:{}, UID:{}, Groups:{}, Extra:map[string][]string{}}}", name, uid,
                     strings(user.groups, "[]string"), user.extra.empty() ? "(nil)" : "{" + extra + "}");
}

}  // namespace

auth::Attributes attributes_of(const Exchange& exchange) {
  auth::Attributes a;
  const RequestInfo& info = exchange.info;
  a.user = &exchange.user;
  a.verb = info.verb;
  a.resource_request = info.resource_request;
  a.group = info.group;
  a.version = info.version;
  a.resource = info.resource;
  a.subresource = info.subresource;
  a.ns = info.ns;
  a.name = info.name;
  a.path = exchange.request.path;
  if (info.verb == "list" || info.verb == "watch" || info.verb == "deletecollection")
    a.field_selector = exchange.request.param("fieldSelector").value_or("");
  return a;
}

Status authenticate(auth::Authenticator* authenticator, bool anonymous, Exchange& exchange) {
  auto user = authenticator ? authenticator->authenticate(exchange.request)
                            : Result<std::optional<auth::UserInfo>>(std::nullopt);
  if (user.ok() && *user) {
    exchange.user = std::move(**user);
    exchange.authenticated = true;
    return Status::OK();
  }
  if (user.ok() && anonymous) {
    exchange.user = auth::anonymous_user();
    return Status::OK();
  }
  return Status(401, reason::kUnauthorized, "Unauthorized");
}

Status impersonate(auth::Authorizer* authorizer, Exchange& exchange) {
  const auth::UserInfo wanted = wanted_user(exchange.request);
  if (wanted.name.empty()) {
    if (wanted.groups.empty() && wanted.uid.empty() && wanted.extra.empty()) return Status::OK();
    return bad_request(fmt::format("requested {} without impersonating a user name", describe(wanted)));
  }
  auth::UserInfo user;
  KNARR_RETURN_IF_ERROR(Impersonation(authorizer, exchange, wanted).run(user, exchange.impersonation));
  exchange.impersonator = std::exchange(exchange.user, std::move(user));
  return Status::OK();
}

Status authorize(auth::Authorizer* authorizer, Exchange& exchange) {
  auth::Attributes attributes = attributes_of(exchange);
  attributes.explain = exchange.audit != nullptr;
  const auth::Authorization answer = authorizer ? authorizer->authorize(attributes) : auth::Authorization();
  const bool allowed = answer.decision == auth::Decision::kAllow;
  if (!allowed && !answer.error.empty()) {
    if (exchange.audit) exchange.audit->annotate("authorization.k8s.io/reason", "internal error");
    return internal_error(fmt::format("Internal Server Error: \"{}\": {}", exchange.request.target, answer.error));
  }
  if (exchange.audit) {
    exchange.audit->annotate("authorization.k8s.io/decision", allowed ? "allow" : "forbid");
    exchange.audit->annotate("authorization.k8s.io/reason", answer.reason);
    if (allowed) exchange.audit->reads(exchange);
  }
  return allowed ? Status::OK() : auth::forbidden(attributes, answer.reason);
}

}  // namespace knarr::apiserver
