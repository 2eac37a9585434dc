// How a node gets its credentials, and keeps them good: the server writes those of its own agent; a worker elsewhere asks
// for them with a token, and later with the ones it has.
//
// A token is <sha256 of the CA certificate>.<secret>: its first half lets the worker know the server, its second half
// the server know the worker. The secret is the server's own, held in <data-dir>/token (mode 0600), or a bootstrap
// token, <id>.<secret>, that `knarr token create` made.
#pragma once

#include <string>
#include <vector>

#include "cli/instance.h"
#include "knarr/auth/authn.h"
#include "knarr/auth/pki.h"
#include "knarr/http/server.h"
#include "knarr/store/store.h"

namespace knarr::cli {

inline constexpr const char* kSupervisedVariable = "KNARR_SUPERVISED";  // set by the server for its own agent

// The hash of the first certificate in a bundle, as tokens have it.
std::string authority_hash(std::string_view bundle_pem);
// The certificate in a bundle that a token names; "" when it is another authority's.
std::string authority_of(std::string_view token, std::string_view bundle_pem);

// Sees to it that `directory` has ca.crt, client.{crt,key} (system:node:<name>) and serving.{crt,key}.
Status write_agent_credentials(const auth::CertificateAuthority& ca, const std::string& directory,
                               const std::string& node_name, const std::vector<std::string>& addresses);

// The token of this server, kept in its file with the hash of `ca`: the given one's secret, or the one in the file, or a
// new one.
Result<std::string> join_token(const Instance& instance, const auth::CertificateAuthority& ca,
                               const std::string& given);

struct JoinOptions {
  auth::CertificateAuthority ca;
  std::string token;                             // the server's own
  std::shared_ptr<auth::TokenSource> bootstrap;  // of the others, those with the group of nodes
  store::Store* store = nullptr;
};
inline constexpr const char* kJoinPrefix = "/knarr/v1/";  // of the paths that joining has
// `next`, with the two paths in front of it that a worker uses to join: GET /knarr/v1/ca and POST /knarr/v1/join.
// A name whose node is alive (its lease was renewed a short while ago) is given to nobody else: who asks for it has to
// show that node's own certificate, and then needs no token.
http::Handler with_join(http::Handler next, JoinOptions options);

// A worker's side: asks `server_url` for credentials and writes them to `directory`.
Status join(const std::string& server_url, const std::string& token, const std::string& node_name,
            const std::vector<std::string>& addresses, const std::string& directory);

// Asks for new ones with those in `directory`: always when `wanted`, else only when they end before long.
Status renew_credentials(const std::string& server_url, const std::string& node_name,
                         const std::vector<std::string>& addresses, const std::string& directory, bool wanted);

}  // namespace knarr::cli
