// How a node gets its credentials: the server writes those of its own agent; a worker elsewhere asks for them with the
// join token.
//
// The token is <sha256 of the CA certificate>.<secret>: its first half lets the worker know the server, its second half
// the server know the worker. The server holds it in <data-dir>/token (mode 0600).
#pragma once

#include <string>
#include <vector>

#include "cli/instance.h"
#include "knarr/auth/pki.h"
#include "knarr/http/server.h"
#include "knarr/store/store.h"

namespace knarr::cli {

inline constexpr const char* kSupervisedVariable = "KNARR_SUPERVISED";  // set by the server for its own agent

// Sees to it that `directory` has ca.crt, client.{crt,key} (system:node:<name>) and serving.{crt,key}.
Status write_agent_credentials(const auth::CertificateAuthority& ca, const std::string& directory,
                               const std::string& node_name, const std::vector<std::string>& addresses);

// The token of this server: the given one's secret, or the one in the token file, or a new one.
Result<std::string> join_token(const Instance& instance, const auth::CertificateAuthority& ca,
                               const std::string& given);

inline constexpr const char* kJoinPrefix = "/knarr/v1/";  // of the paths that joining has
// `next`, with the two paths in front of it that a worker uses to join: GET /knarr/v1/ca and POST /knarr/v1/join.
// A name whose node is alive (its lease in `store` was renewed a short while ago) is given to nobody else: who asks for
// it has to show that node's own certificate.
http::Handler with_join(http::Handler next, const auth::CertificateAuthority& ca, const std::string& token,
                        store::Store& store);

// A worker's side: asks `server_url` for credentials and writes them to `directory`.
Status join(const std::string& server_url, const std::string& token, const std::string& node_name,
            const std::vector<std::string>& addresses, const std::string& directory);

}  // namespace knarr::cli
