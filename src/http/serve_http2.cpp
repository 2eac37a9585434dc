// What happens on a connection of HTTP/2: what its streams ask for goes the same way as requests of HTTP/1.1, many at a
// time.
#include "http/reply.h"
#include "http/server_impl.h"
#include "http/takeover.h"
#include "knarr/base/log.h"

namespace knarr::http {

void ServerImpl::adopt_session(Connection& connection) {
  const std::unique_ptr<Connection> owner(&connection);
  Http2Session::Options options{RequestLimits{options_.max_header, options_.max_body}, options_.idle_timeout,
                                options_.header_timeout, [this](int64_t when) { note_sweep(when); }};
  remove(connection);
  std::shared_ptr<Http2Session> session;
  {
    Lock lock(sessions_mutex_);
    last_session_ = std::max(last_session_ + 1, Http2Session::kFirstId);
    session = std::make_shared<Http2Session>(last_session_, std::move(connection.channel),
                                             std::move(connection.remote_address), std::move(connection.peer),
                                             std::move(options));
    sessions_.emplace(session->id, session);
    session_count_ = sessions_.size();
  }
  if (stopping_) session->go_away();
  session->arm(epoll_.get());  // tells at once that it can be written
}

void ServerImpl::drive_session(uint64_t id) {
  std::shared_ptr<Http2Session> session;
  {
    Lock lock(sessions_mutex_);
    const auto found = sessions_.find(id);
    if (found == sessions_.end()) return;
    session = found->second;
  }
  if (!session->begin_reading()) return;
  std::vector<Http2Session::Arrival> arrived;
  uint32_t seen = 1;
  bool alive = true, more = false;
  do alive = session->read(arrived, more);
  while (alive && !more && !session->done_reading(seen));
  if (!alive) close_session(*session);
  if (alive && more) session->arm(epoll_.get());
  for (auto& arrival : arrived) dispatch(session, arrival, arrived.size() == 1);
}

void ServerImpl::close_session(Http2Session& session) {
  session.close();
  Lock lock(sessions_mutex_);
  sessions_.erase(session.id);
  session_count_ = sessions_.size();
  if (sessions_.empty()) sessions_changed_.notify_all();
}

void ServerImpl::dispatch(const std::shared_ptr<Http2Session>& session, Http2Session::Arrival& arrival, bool alone) {
  if (arrival.error.code) {
    requests_.fetch_add(1, std::memory_order_relaxed);
    Response response;
    fill_error(arrival.error.code, arrival.error.message, response);
    return session->respond(arrival.stream, std::move(response), false);
  }
  if (!session->is_open(arrival.stream)) return;
  const auto job = std::make_shared<Job>(session, arrival.stream, std::move(arrival.request));
  Request& request = job->taken.request;
  request.remote_address = session->remote_address;
  identify(request, session->peer.get());
  admit(job, alone);
}

void ServerImpl::answer_stream(Job& job) {
  if (job.response.takeover) return hand_over_stream(job);
  job.session->respond(job.stream, std::move(job.response), job.taken.request.method == "HEAD");
}

void ServerImpl::hand_over_stream(Job& job) {
  using Kind = Response::Takeover::Kind;
  const std::shared_ptr<Response::Takeover> takeover = std::move(job.response.takeover);
  if (takeover->kind == Kind::kConnection) {
    job.response = Response();
    fill_error(400, "Upgrade request required", job.response);
    return answer_stream(job);
  }
  const bool is_head = job.taken.request.method == "HEAD";
  if (takeover->kind == Kind::kReply) {
    return run_on_thread([takeover, session = job.session, stream = job.stream, is_head] {
      run_reply(takeover->run_reply, *session, stream, is_head);
    });
  }
  if (is_head) return answer_stream(job);
  job.session->open_body(job.stream, job.response);
  if (takeover->kind == Kind::kPump) {
    return pump_->attach({Channel(), {}, takeover->topic, std::move(takeover->source), true, job.session, job.stream});
  }
  run_on_thread([takeover, session = job.session, stream = job.stream] {
    bool whole = false;
    const auto write = [&](std::string_view chunk) { return session->write(stream, chunk); };
    try {
      takeover->run_stream(write, [&] { return !session->is_open(stream); });
      whole = true;
    } catch (const std::exception& error) {
      log::error("http", "a streamed response was cut off because its handler failed", {{"error", error.what()}});
    }
    session->finish(stream, whole);
  });
}

}  // namespace knarr::http
