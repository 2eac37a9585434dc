// Replies (server.h) over a connection of HTTP/1.1 and over a stream of HTTP/2.
#pragma once

#include "http/http2_session.h"
#include "http/stream.h"

namespace knarr::http {

void run_reply(const std::function<void(Reply&)>& run, Stream& stream, bool http10, bool is_head);
void run_reply(const std::function<void(Reply&)>& run, Http2Session& session, int32_t stream, bool is_head);

}  // namespace knarr::http
