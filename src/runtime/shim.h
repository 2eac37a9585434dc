// The shim's side: one pod in one small single-threaded process. shim.cpp talks to clients and owns the pod; container.cpp is
// one container with its streams and log; factory.cpp is where shims come from.
#pragma once

#include <list>
#include <map>
#include <memory>

#include "knarr/linux/cgroup.h"
#include "knarr/linux/event_loop.h"
#include "runtime/channel.h"
#include "runtime/container.h"
#include "runtime/fields.h"

namespace knarr::runtime {

class Shim {
 public:
  // Makes the pod's namespaces and serves it until a client says shutdown; `first` is the client that asked for it. Answers the
  // process's exit code. Call it in a process of its own: it takes the descriptors 0 to 2 and the signals.
  static int run(const SandboxRequest& request, linux::UniqueFd first);

 private:
  struct Client {
    std::unique_ptr<Channel> channel;
  };
  // A process that joined a container on behalf of a client.
  struct Exec {
    ExecRequest request;
    Client* client = nullptr;  // null: gone
    int64_t call = 0;          // the request to answer once it exec'd
    StartedProcess process;
    Handshake handshake;
    std::vector<linux::UniqueFd> client_ends;  // handed over with the answer
    bool started = false;
  };

  explicit Shim(const SandboxRequest& request) : request_(request) {}

  Status set_up();
  Status make_namespaces();
  Status make_pod_shm();
  Status make_cgroup();
  Status listen();
  Status write_state();

  Client& add_client(linux::UniqueFd socket);
  void drop_client(Client* client);
  void on_message(Client& client, Message message);
  void reply(Client& client, int64_t call, json::Document result, std::vector<linux::UniqueFd> fds = {});
  void reply_error(Client& client, int64_t call, const Status& status);
  void broadcast(json::Document event);

  // The methods; those that answer later keep the call.
  Status start_container(Client& client, int64_t call, const json::Value& params);
  Status signal_container(const json::Value& params);
  Status remove_container(const json::Value& params);
  Status reopen_log(const json::Value& params);
  Status exec(Client& client, int64_t call, const json::Value& params);
  Status attach(Client& client, int64_t call, const json::Value& params);
  Status close_session(Client& client, const json::Value& params);
  Status close_stdin(Client& client, const json::Value& params);
  void shut_down(Client& client, int64_t call);

  Result<Container*> find(const json::Value& params);
  PodState state() const;
  void on_container_change(Container& container);
  void on_exec_handshake(std::list<Exec>::iterator exec);
  void end_exec(std::list<Exec>::iterator exec, int code);
  void on_children();
  void finish_if_empty();
  void send_session_end(Client& client, const std::string& session, int code);

  const SandboxRequest request_;
  std::unique_ptr<linux::EventLoop> loop_;
  linux::UniqueFd listener_, signals_, shm_;
  std::string shm_path_;
  linux::Cgroup cgroup_;
  StartedProcess reaper_;  // the pod's own pid namespace, when it has one
  std::list<Client> clients_;
  std::map<std::string, std::unique_ptr<Container>> containers_;
  std::map<std::string, std::pair<Client*, int64_t>> starting_;  // container id → the request to answer
  std::list<Exec> execs_;
  Client* stopper_ = nullptr;  // who said shutdown
  int64_t stop_call_ = 0;
  bool stopping_ = false;
};

}  // namespace knarr::runtime
