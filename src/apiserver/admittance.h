// What flow control is told of a request, and what a client is told that it refused.
#pragma once

#include "server_impl.h"

namespace knarr::apiserver {

// Goes on for as long as its client likes, and so takes no seat.
bool long_running(const RequestInfo& info);
// A watch takes a seat until it has begun.
std::unique_ptr<flow::Ticket> classify(flow::FlowControl& flow, Rest& rest, const Exchange& exchange);
// How long the request may wait for a seat: a part of the time that it has at all.
milliseconds patience_of(const http::Request& request);
// By whose rules it was treated.
void add_flow_headers(Exchange& exchange);
void answer_too_many(Exchange& exchange);

}  // namespace knarr::apiserver
