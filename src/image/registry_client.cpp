#include "image/registry_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <thread>

#include "knarr/codec/base64.h"
#include "knarr/codec/json.h"

namespace knarr::image {

namespace {

constexpr int kMaxRedirects = 5;
constexpr size_t kMaxErrorBody = 8 << 10;
constexpr seconds kSilence{60};  // a registry that sends nothing for so long is given up

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](unsigned char x, unsigned char y) { return tolower(x) == tolower(y); });
}

bool is_loopback(std::string_view registry) {
  const std::string_view host =
      registry.substr(0, registry.starts_with('[') ? registry.find(']') + 1 : registry.find(':'));
  return host == "localhost" || host.starts_with("127.") || host == "[::1]";
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const unsigned char c : text) {
    if (isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += static_cast<char>(c);
    } else {
      out += fmt::format("%{:02X}", c);
    }
  }
  return out;
}

// Cancels a transfer that is silent for too long.
class SilenceGuard {
 public:
  explicit SilenceGuard(std::shared_ptr<http::Client::Cancel> cancel)
      : cancel_(std::move(cancel)), thread_([this] { run(); }) {}
  ~SilenceGuard() {
    {
      Lock lock(mutex_);
      done_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  void touch() {
    Lock lock(mutex_);
    last_ = std::chrono::steady_clock::now();
  }
  bool fired() {
    Lock lock(mutex_);
    return fired_;
  }

 private:
  void run() {
    Lock lock(mutex_);
    while (!done_) {
      if (std::chrono::steady_clock::now() - last_ >= kSilence) {
        fired_ = true;
        cancel_->cancel();
        return;
      }
      wake_.wait_until(lock, last_ + kSilence);
    }
  }

  std::shared_ptr<http::Client::Cancel> cancel_;
  Mutex mutex_;
  std::condition_variable_any wake_;
  MonoTime last_ KNARR_GUARDED_BY(mutex_) = std::chrono::steady_clock::now();
  bool done_ KNARR_GUARDED_BY(mutex_) = false, fired_ KNARR_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// "MANIFEST_UNKNOWN: manifest unknown", as registries explain themselves; "" when they do not.
std::string explanation_of(const http::ClientResponse& response) {
  auto document = json::parse(response.body);
  if (!document.ok() || !document->IsObject()) return "";
  const auto* errors = json::find(*document, "errors");
  if (errors == nullptr || !errors->IsArray() || errors->Empty()) return "";
  const auto& first = (*errors)[0];
  std::string text = fmt::format("{}: {}", json::get_string(first, "code"), json::get_string(first, "message"));
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return text.substr(0, 300);
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!text.starts_with(scheme)) continue;
    const size_t slash = text.find_first_of("/?#", scheme.size());
    Url url{std::string(text.substr(0, slash)),
            slash == std::string_view::npos ? "/" : std::string(text.substr(slash))};
    url.target = url.target.substr(0, url.target.find('#'));
    if (!url.target.starts_with('/')) url.target = "/" + url.target;
    if (url.base.size() == scheme.size() || url.base.find('@') != std::string::npos) break;
    return url;
  }
  return bad_request(fmt::format("\"{}\" is no http or https URL", text.substr(0, 200)));
}

Challenge parse_challenge(std::string_view header) {
  Challenge challenge;
  const size_t space = header.find(' ');
  challenge.scheme = header.substr(0, space);
  std::transform(challenge.scheme.begin(), challenge.scheme.end(), challenge.scheme.begin(),
                 [](unsigned char c) { return static_cast<char>(tolower(c)); });
  std::string_view rest = space == std::string_view::npos ? "" : header.substr(space);
  while (true) {
    const size_t start = rest.find_first_not_of(" ,\t");
    if (start == std::string_view::npos) return challenge;
    rest.remove_prefix(start);
    const size_t equals = rest.find('=');
    if (equals == std::string_view::npos) return challenge;
    const std::string key(rest.substr(0, equals));
    rest.remove_prefix(equals + 1);
    std::string value;
    if (rest.starts_with('"')) {
      size_t i = 1;
      for (; i < rest.size() && rest[i] != '"'; ++i) {
        if (rest[i] == '\\' && i + 1 < rest.size()) ++i;
        value += rest[i];
      }
      rest.remove_prefix(std::min(i + 1, rest.size()));
    } else {
      value = rest.substr(0, rest.find_first_of(", \t"));
      rest.remove_prefix(value.size());
    }
    challenge.parameters.emplace(key, value);
  }
}

RegistryClient::RegistryClient(const Reference& reference, const PullOptions& options, bool insecure)
    : reference_(reference),
      auth_(options.auth),
      insecure_(insecure),
      host_(reference.registry == "docker.io" ? "registry-1.docker.io" : reference.registry) {
  const bool plain = options.plain_http || is_loopback(host_);
  base_ = fmt::format("{}://{}", plain ? "http" : "https", host_);
}

std::string RegistryClient::base() const {
  Lock lock(mutex_);
  return base_;
}

Result<std::shared_ptr<http::Client>> RegistryClient::client_for(const std::string& base) {
  Lock lock(mutex_);
  auto& client = clients_[base];
  if (!client) {
    auto made =
        http::Client::make({.url = base, .insecure_skip_verify = insecure_ && base.starts_with("https://" + host_)});
    KNARR_RETURN_IF_ERROR(made.status());
    client = std::move(made).value();
  }
  return client;
}

Result<std::string> RegistryClient::get_document(std::string_view kind, const std::string& name,
                                                 std::string_view accept) {
  std::string body;
  Sink sink;
  sink.head = [&](const http::ClientResponse&) {
    body.clear();
    return Status::OK();
  };
  sink.data = [&](std::string_view piece) {
    if (body.size() + piece.size() > kMaxDocument)
      return bad_request(fmt::format("{} {} is larger than {} bytes", kind, name, kMaxDocument));
    body += piece;
    return Status::OK();
  };
  KNARR_RETURN_IF_ERROR(
      get(fmt::format("/v2/{}/{}/{}", reference_.repository, kind, name), {{"Accept", std::string(accept)}}, sink));
  return body;
}

Status RegistryClient::get_blob(const std::string& digest, int64_t size, BlobWriter& writer,
                                const std::function<void()>& advanced) {
  http::Headers headers;
  if (writer.size() > 0) headers.emplace_back("Range", fmt::format("bytes={}-", writer.size()));
  Sink sink;
  sink.head = [&](const http::ClientResponse& head) { return head.status == 206 ? Status::OK() : writer.restart(); };
  sink.data = [&](std::string_view piece) {
    if (writer.size() + static_cast<int64_t>(piece.size()) > size) {
      return bad_request(fmt::format("the registry sends more than the {} bytes that the manifest says", size));
    }
    KNARR_RETURN_IF_ERROR(writer.write(piece));
    advanced();
    return Status::OK();
  };
  if (writer.size() == size && size > 0) return {};
  KNARR_RETURN_IF_ERROR(get(fmt::format("/v2/{}/blobs/{}", reference_.repository, digest), std::move(headers), sink));
  if (writer.size() == size) return {};
  return unavailable(fmt::format("the registry {} sent {} of {} bytes", host_, writer.size(), size));
}

Status RegistryClient::get(const std::string& path, http::Headers headers, const Sink& sink) {
  Url url{base(), path};
  bool authenticated = false;
  for (int redirects = 0; redirects <= kMaxRedirects;) {
    http::ClientResponse response;
    Status status = get_once(url, headers, sink, response);
    // A registry that is said to be insecure may speak no TLS at all.
    if (status.is(reason::kServiceUnavailable) && response.status == 0 && insecure_ && url.base == "https://" + host_) {
      Lock lock(mutex_);
      url.base = base_ = "http://" + host_;
      continue;
    }
    KNARR_RETURN_IF_ERROR(status);
    if (response.status == 200 || response.status == 206) return {};
    if (response.status == 401 && !authenticated && url.base == base()) {
      authenticated = true;
      KNARR_RETURN_IF_ERROR(authenticate(response));
      continue;
    }
    if (response.status < 300 || response.status >= 400 || response.header("Location").empty())
      return refusal(response);
    ++redirects;
    const std::string location(response.header("Location"));
    if (location.starts_with("/") && !location.starts_with("//")) {
      url.target = location;
    } else {
      KNARR_ASSIGN(url, parse_url(location));
    }
  }
  return internal_error(fmt::format("the registry {} redirects more than {} times", host_, kMaxRedirects));
}

Status RegistryClient::get_once(const Url& url, http::Headers headers, const Sink& sink,
                                http::ClientResponse& response) {
  KNARR_ASSIGN(const auto client, client_for(url.base));
  {
    Lock lock(mutex_);
    // Only the registry itself gets to see it, not where it redirects to.
    if (!authorization_.empty() && url.base == base_) headers.emplace_back("Authorization", authorization_);
  }
  Status refused;
  auto cancel = http::Client::make_cancel();
  SilenceGuard guard(cancel);
  http::ClientRequest request{.method = "GET", .target = url.target, .headers = std::move(headers)};
  Status status = client->stream(
      request,
      [&](const http::ClientResponse& head) {
        guard.touch();
        response = head;
        if (head.status == 200 || head.status == 206) refused = sink.head(head);
        return refused.ok();
      },
      [&](std::string_view piece) {
        guard.touch();
        if (response.status == 200 || response.status == 206) {
          refused = sink.data(piece);
        } else {
          response.body.append(piece.substr(0, kMaxErrorBody - std::min(kMaxErrorBody, response.body.size())));
        }
        return refused.ok();
      },
      cancel);
  if (guard.fired())
    return timeout_error(fmt::format("the registry {} sent nothing for {} s", host_, kSilence.count()));
  KNARR_RETURN_IF_ERROR(refused);
  if (status.ok() || (response.status >= 300)) return {};
  if (response.status == 0)
    return status.with_context(fmt::format("cannot reach the registry {} ({})", host_, url.base));
  return unavailable(fmt::format("the registry {} broke off: {}", host_, status.message()));
}

Result<std::string> RegistryClient::basic_credentials() const {
  if (!auth_)
    return Status(401, reason::kUnauthorized,
                  fmt::format("the registry {} wants a login for {}: give credentials (imagePullSecrets)", host_,
                              reference_.repository));
  return "Basic " + base64::encode(auth_->username + ":" + auth_->password);
}

Status RegistryClient::authenticate(const http::ClientResponse& response) {
  std::optional<Challenge> bearer, basic;
  for (const auto& [name, value] : response.headers) {
    if (!same_name(name, "WWW-Authenticate")) continue;
    Challenge challenge = parse_challenge(value);
    if (challenge.scheme == "bearer")
      bearer = std::move(challenge);
    else if (challenge.scheme == "basic")
      basic = std::move(challenge);
  }
  std::string authorization;
  if (bearer) {
    KNARR_ASSIGN(const std::string token, fetch_token(*bearer));
    authorization = "Bearer " + token;
  } else if (basic) {
    KNARR_ASSIGN(authorization, basic_credentials());
  } else {
    return refusal(response);
  }
  Lock lock(mutex_);
  authorization_ = std::move(authorization);
  return {};
}

Result<std::string> RegistryClient::fetch_token(const Challenge& challenge) {
  auto parameter = [&](const char* name) {
    auto found = challenge.parameters.find(name);
    return found == challenge.parameters.end() ? std::string() : found->second;
  };
  auto realm = parse_url(parameter("realm"));
  if (!realm.ok())
    return std::move(realm).status().with_context(
        fmt::format("the registry {} names no place to get a token from", host_));
  std::string scope = parameter("scope");
  if (scope.empty()) scope = fmt::format("repository:{}:pull", reference_.repository);
  http::ClientRequest request{.target = realm->target};
  request.target +=
      fmt::format("{}scope={}", request.target.find('?') == std::string::npos ? "?" : "&", percent_encode(scope));
  if (const std::string service = parameter("service"); !service.empty())
    request.target += "&service=" + percent_encode(service);
  if (auth_) {
    if (realm->base.starts_with("http://") && base().starts_with("https://")) {
      return bad_request(
          fmt::format("the registry {} wants the password sent in clear text to {}: refused", host_, realm->base));
    }
    KNARR_ASSIGN(std::string credentials, basic_credentials());
    request.headers.emplace_back("Authorization", std::move(credentials));
  }
  KNARR_ASSIGN(const auto client, client_for(realm->base));
  auto response = client->send(request);
  if (!response.ok())
    return std::move(response).status().with_context(fmt::format("get a token for {} from {}", host_, realm->base));
  if (response->status != 200) return refusal(*response).with_context(fmt::format("get a token from {}", realm->base));
  KNARR_ASSIGN(const json::Document document, json::parse(response->body));
  std::string token(json::get_string(document, "token"));
  if (token.empty()) token = json::get_string(document, "access_token");
  if (token.empty() || token.find_first_of("\r\n") != std::string::npos)
    return unavailable(fmt::format("{} gave no token for {}", realm->base, host_));
  return token;
}

Status RegistryClient::refusal(const http::ClientResponse& response) const {
  std::string why = explanation_of(response);
  why = fmt::format("the registry {} answered HTTP {}{}{}{}", host_, response.status, why.empty() ? "" : " (", why,
                    why.empty() ? "" : ")");
  switch (response.status) {
    case 401:
      return {401, reason::kUnauthorized,
              fmt::format("{}: {} does not exist there or wants {} login (imagePullSecrets)", why,
                          reference_.repository, auth_ ? "another" : "a")};
    case 403:
      return {403, reason::kForbidden, fmt::format("{}: this login may not pull {}", why, reference_.repository)};
    case 404:
      return not_found(fmt::format("{}: check the image's name and tag", why));
    case 429: {
      Status status(429, reason::kTooManyRequests,
                    fmt::format("{}: it limits pulls; wait, or log in (imagePullSecrets)", why));
      int wait = 0;
      const std::string_view after = response.header("Retry-After");
      std::from_chars(after.data(), after.data() + after.size(), wait);
      if (wait > 0) status.with_details({.retry_after_seconds = wait});
      return status;
    }
    default:
      return unavailable(std::move(why));
  }
}

}  // namespace knarr::image
