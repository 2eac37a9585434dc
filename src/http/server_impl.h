// The server's threads: pollers that share one epoll, writers for methods that wait for the disk, the pump.
#pragma once

#include <atomic>
#include <condition_variable>
#include <optional>
#include <thread>

#include "http/connection.h"
#include "http/http2_session.h"
#include "http/lanes.h"
#include "http/pump.h"
#include "http/stream.h"
#include "http/worker_pool.h"

namespace knarr::http {

class ServerImpl final : public Server {
 public:
  ServerImpl(ServerOptions options, Handler handler);
  ~ServerImpl() override { stop(milliseconds(0)); }
  Status start();

  int port() const override { return port_; }
  Pump& pump() override { return *pump_; }
  Status reload_tls() override;
  void stop(milliseconds grace) override;
  Stats stats() const override;

 private:
  using Taken = RequestReader::Taken;
  // A request on its way to its answer.
  struct Job {
    Job(Connection& c, Taken t) : connection(&c), taken(std::move(t)) {}
    Job(std::shared_ptr<Http2Session> s, int32_t id, Request r)
        : session(std::move(s)), stream(id), taken{RequestHead(), std::move(r)} {}
    Connection* connection = nullptr;
    std::shared_ptr<Http2Session> session;  // instead of a connection: HTTP/2, and the stream in it
    int32_t stream = 0;
    Taken taken;
    Response response;
    bool waited = false;
  };
  using JobPtr = std::shared_ptr<Job>;

  // server.cpp: sockets, threads and time
  Status listen();
  Status add_own(int fd, uint32_t events, uint64_t tag);
  void rearm_own(int fd, uint64_t tag);
  void poll_loop(bool spare);
  void watch_pollers();
  void enter_handler();
  void leave_handler();
  void accept_some();
  void adopt(linux::UniqueFd fd, std::string remote_address);
  bool full() const;
  void set_deadline(Connection& connection, std::chrono::nanoseconds after);
  void note_sweep(int64_t when);
  void sweep();
  void insert(Connection& connection);
  void remove(Connection& connection);
  void arm(Connection& connection, uint32_t events);
  void close(Connection& connection);
  void shutdown_connections(bool only_idle);
  bool wait_no_connections(MonoTime deadline);

  void sweep_sessions(int64_t now, int64_t& soonest);
  bool wait_no_sessions(MonoTime deadline);
  template <typename Call>
  void for_sessions(Call call);

  // serve_http2.cpp: what happens on a connection of HTTP/2
  void adopt_session(Connection& connection);
  void drive_session(uint64_t id);
  void close_session(Http2Session& session);
  void dispatch(const std::shared_ptr<Http2Session>& session, Http2Session::Arrival& arrival, bool alone);
  void answer_stream(Job& job);
  void hand_over_stream(Job& job);

  // serve.cpp: what happens on a connection
  void drive(Connection& connection);
  void shake_hands(Connection& connection);
  void read_request(Connection& connection);
  void dispatch(Connection& connection);
  void admit(const JobPtr& job, bool alone);
  Gate::Verdict ask_gate(const JobPtr& job);
  void resume(const JobPtr& job);
  void queue(const JobPtr& job);
  void run_ready();
  void wake_poller();
  void serve(Job& job);
  void answer(Job& job);
  template <typename Call>
  void guarded(const Request& request, Response& response, Call call);
  void send(Connection& connection, std::string head, std::string body, bool close_after);
  void flush(Connection& connection);
  static void refill(Connection& connection);
  void sent(Connection& connection);
  void refuse(Connection& connection, const ParseError& error);
  void wait_for_request(Connection& connection);
  void linger(Connection& connection);
  void hand_over(Job& job);
  void run_on_thread(std::function<void()> run);
  void fill_error(int code, std::string_view message, Response& response) const;

  // Constant after start().
  const ServerOptions options_;
  const Handler handler_;
  int port_ = 0, workers_ = 0;
  linux::UniqueFd listener_, epoll_, timer_, stop_event_, wake_event_;
  std::unique_ptr<PumpImpl> pump_;
  const std::shared_ptr<OpenStreams> streams_ = std::make_shared<OpenStreams>();

  Mutex tls_mutex_;
  std::shared_ptr<SSL_CTX> tls_ KNARR_GUARDED_BY(tls_mutex_);

  std::atomic<bool> stopping_{false}, accept_paused_{false};
  std::atomic<size_t> requests_{0}, in_flight_{0}, connections_{0};

  // Connections in epoll, for deadlines and the end. Who closes one takes it out first.
  Mutex registry_mutex_;
  std::condition_variable_any registry_changed_;
  std::vector<Connection*> registry_ KNARR_GUARDED_BY(registry_mutex_);
  std::atomic<int64_t> next_sweep_{INT64_MAX};
  Mutex timer_mutex_;

  // HTTP/2: epoll (edge-triggered) tells of them by their id.
  mutable Mutex sessions_mutex_;
  std::condition_variable_any sessions_changed_;
  std::unordered_map<uint64_t, std::shared_ptr<Http2Session>> sessions_ KNARR_GUARDED_BY(sessions_mutex_);
  uint64_t last_session_ KNARR_GUARDED_BY(sessions_mutex_) = 0;
  std::atomic<size_t> session_count_{0};

  // Threads. The watchman lends a spare poller while all pollers wait inside handlers.
  std::vector<std::thread> pollers_;
  std::thread watchman_;
  std::atomic<int> polling_{0};     // pollers that are not inside a handler
  std::atomic<int> sleeping_{0};    // pollers that wait for epoll
  std::atomic<uint64_t> turns_{0};  // events that pollers took
  Mutex watchman_mutex_;
  std::condition_variable_any watchman_wanted_;
  bool all_busy_ KNARR_GUARDED_BY(watchman_mutex_) = false;
  bool watchman_stop_ KNARR_GUARDED_BY(watchman_mutex_) = false;
  WorkerPool spares_, writers_;

  // Requests that only read and wait for a poller.
  Mutex ready_mutex_;
  Lanes<JobPtr> ready_ KNARR_GUARDED_BY(ready_mutex_);
  std::atomic<size_t> ready_count_{0};

  Mutex stop_mutex_;
  bool stopped_ KNARR_GUARDED_BY(stop_mutex_) = false;
};

}  // namespace knarr::http
