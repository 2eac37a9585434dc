// What the files of the HTTP front share. See include/knarr/apiserver/server.h.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "knarr/apiserver/errors.h"
#include "knarr/apiserver/server.h"
#include "knarr/base/sync.h"
#include "knarr/flow/flow_control.h"
#include "negotiate.h"
#include "request_info.h"

namespace knarr::apiserver {

class AuditTrail;

// One request on its way through the pipeline.
struct Exchange {
  Exchange(const http::Request& asked, http::Response& answer, RequestInfo what)
      : request(asked), response(answer), info(std::move(what)) {}
  const http::Request& request;
  http::Response& response;
  RequestInfo info;
  auth::UserInfo user;
  std::optional<auth::UserInfo> impersonator;  // who speaks for `user`
  bool authenticated = false;
  MonoTime began{};
  std::string impersonation;  // by which permission: "impersonate:user-info"; "": the old verb, or nobody
  std::shared_ptr<AuditTrail> audit;  // when it is recorded; held by what goes on after the handler
  std::unique_ptr<flow::Ticket> ticket;  // its seat; null while it needs none
};

// The question to an authoriser that a request is.
auth::Attributes attributes_of(const Exchange& exchange);

// Counters of requests by what they were, for /metrics. Thread-safe.
class RequestCounts {
 public:
  void add(const RequestInfo& info, int code);
  std::string to_text() const;

 private:
  mutable Mutex mutex_;
  std::map<std::string, uint64_t> counts_ KNARR_GUARDED_BY(mutex_);
};

// OpenAPI and discovery documents, made on first use and then kept.
class Documents {
 public:
  struct Document {
    std::string text, etag;  // etag: hash without quotes
  };
  // What answers `key`, made by `make` the first time and when `number`, the state that it describes, is another one.
  std::shared_ptr<const Document> get(const std::string& key, uint64_t number,
                                      const std::function<std::string()>& make);

 private:
  Mutex mutex_;
  std::map<std::string, std::pair<uint64_t, std::shared_ptr<const Document>>> documents_ KNARR_GUARDED_BY(mutex_);
};

struct Check {
  std::string name;
  bool live;
  std::function<Status()> check;
};

// Answers.
void answer_status(http::Response& response, const Status& status, std::string_view continue_token = {});
void answer_no_such_path(http::Response& response);  // not a path of the API, so no Status either
void answer_missing_path(const http::Request& request, http::Response& response);  // whichever of both upstream answers there
void answer_json(http::Response& response, int code, std::string text, const Output& output);
void add_warnings(http::Response& response, const std::vector<std::string>& warnings);
void compress(const http::Request& request, http::Response& response);  // large bodies, for clients that take gzip

// Paths that are no resources. False: not one of theirs.
bool serve_health(const http::Request& request, http::Response& response, const std::vector<Check>& checks);
std::vector<std::string> health_paths();  // of each check that every server has
std::string version_json(std::string_view suffix);
bool serve_discovery(const http::Request& request, http::Response& response, Documents& documents,
                     const schema::Catalog& catalog, std::string_view external_address);
bool serve_openapi(const http::Request& request, http::Response& response, Documents& documents,
                   const schema::Catalog& catalog);

// authentication.k8s.io and authorization.k8s.io. False: not one of their reviews.
bool serve_review(auth::TokenSource* tokens, auth::Authorizer* authorizer, WallTime now, Exchange& exchange);

// Resources.
void serve_resource(Rest& rest, NodeProxy* nodes, Exchange& exchange);
// pods/log, exec, attach, portforward and proxy, nodes/proxy. False: not such a subresource.
bool serve_connect(Rest& rest, NodeProxy* nodes, const Target& target, Exchange& exchange);

}  // namespace knarr::apiserver
