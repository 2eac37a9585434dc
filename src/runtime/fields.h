// The structs that go between agent and shim and into state.json, as JSON: each says its members once, in fields(), for both
// directions. A member that is absent keeps its default, one that is unknown is left alone, so that an agent understands the
// shims of the version before it.
#pragma once

#include "knarr/codec/json.h"
#include "knarr/runtime/runtime.h"

namespace knarr::runtime {

// A container as its shim knows it: what was asked for, with what the agent resolved for it.
struct ContainerRequest {
  ContainerSpec spec;
  std::string seccomp_filter;  // file with the BPF program; "": none
};

// What stands in state.json for a container beside its status: enough to find its process for good.
struct ContainerRecord {
  ContainerStatus status;
  uint64_t start_time = 0;  // of the process, see linux::process_start_time
};

struct PodState {
  PodSandboxSpec spec;
  int shim_pid = 0;
  std::string cgroup;  // directory of the pod's group; "" without cgroup v2
  std::vector<ContainerRecord> containers;
};

struct SandboxRequest {
  PodSandboxSpec spec;
  std::string directory;    // <state>/<pod id>
  std::string cgroup_root;  // where v2 is mounted; "" without
  bool device_filter = false;
  bool old_mount_ways = false;  // see Runtime::Options
};

struct ExecRequest {
  std::string session;    // the client's name for it, unique in its connection
  std::string container;  // id
  std::vector<std::string> args;
  bool stdin_open = false, stdout_open = false, stderr_open = false, terminal = false;
};

template <typename V>
void fields(V& v, Mount& m) {
  v("source", m.source), v("destination", m.destination), v("type", m.type), v("readOnly", m.read_only);
  v("recursiveReadOnly", m.recursive_read_only), v("recursive", m.recursive), v("propagation", m.propagation), v("options", m.options);
}

template <typename V>
void fields(V& v, Resources& r) {
  v("memory", r.memory_limit_bytes), v("cpuQuota", r.cpu_quota_us), v("cpuPeriod", r.cpu_period_us);
  v("cpuShares", r.cpu_shares), v("pids", r.pids_limit);
}

template <typename V>
void fields(V& v, SecurityContext& s) {
  v("uid", s.uid), v("gid", s.gid), v("groups", s.additional_gids), v("privileged", s.privileged);
  v("noNewPrivileges", s.no_new_privileges), v("readOnlyRoot", s.read_only_root), v("addCapabilities", s.add_capabilities);
  v("dropCapabilities", s.drop_capabilities), v("seccomp", s.seccomp), v("maskedPaths", s.masked_paths);
  v("readOnlyPaths", s.read_only_paths), v("unmaskedProc", s.unmasked_proc);
}

template <typename V>
void fields(V& v, PodSandboxSpec& s) {
  v("id", s.id), v("name", s.name), v("namespace", s.namespace_), v("hostname", s.hostname), v("logDirectory", s.log_directory);
  v("hostNetwork", s.host_network), v("hostPid", s.host_pid), v("hostIpc", s.host_ipc);
  v("shareProcessNamespace", s.share_process_namespace), v("sysctls", s.sysctls), v("cgroupParent", s.cgroup_parent);
  v("resources", s.resources);
}

struct Rlimit {
  std::string name;
  uint64_t soft = 0, hard = 0;
};
template <typename V>
void fields(V& v, Rlimit& r) {
  v("name", r.name), v("soft", r.soft), v("hard", r.hard);
}

template <typename V>
void fields(V& v, ContainerSpec& s) {
  v("id", s.id), v("name", s.name), v("attempt", s.attempt), v("lowerDirectories", s.lower_directories), v("args", s.args);
  v("env", s.env), v("workingDirectory", s.working_directory), v("user", s.user), v("runAsUser", s.run_as_user);
  v("runAsGroup", s.run_as_group), v("security", s.security), v("mounts", s.mounts), v("resources", s.resources);
  v("rlimits", s.rlimits), v("oomScoreAdj", s.oom_score_adj), v("terminal", s.terminal), v("stdin", s.stdin_open);
  v("stdinOnce", s.stdin_once), v("hostname", s.hostname), v("terminationLog", s.termination_log);
  v("processNamespaceOf", s.process_namespace_of);
}

template <typename V>
void fields(V& v, ContainerStatus& s) {
  v("id", s.id), v("name", s.name), v("attempt", s.attempt), v("state", s.state), v("pid", s.pid), v("startedAt", s.started_at);
  v("finishedAt", s.finished_at), v("exitCode", s.exit_code), v("signal", s.signal), v("oomKilled", s.oom_killed);
  v("reason", s.reason), v("message", s.message);
}

template <typename V>
void fields(V& v, ContainerRequest& r) {
  v("spec", r.spec), v("seccompFilter", r.seccomp_filter);
}

template <typename V>
void fields(V& v, ContainerRecord& r) {
  v("status", r.status), v("startTime", r.start_time);
}

template <typename V>
void fields(V& v, PodState& s) {
  v("spec", s.spec), v("shimPid", s.shim_pid), v("cgroup", s.cgroup), v("containers", s.containers);
}

template <typename V>
void fields(V& v, SandboxRequest& r) {
  v("spec", r.spec), v("directory", r.directory), v("cgroupRoot", r.cgroup_root), v("deviceFilter", r.device_filter);
  v("oldMountWays", r.old_mount_ways);
}

template <typename V>
void fields(V& v, ExecRequest& r) {
  v("session", r.session), v("container", r.container), v("args", r.args), v("stdin", r.stdin_open), v("stdout", r.stdout_open);
  v("stderr", r.stderr_open), v("terminal", r.terminal);
}

// Writes members into a JSON object.
class FieldWriter {
 public:
  FieldWriter(json::Value& object, json::Allocator& alloc) : object_(object), alloc_(alloc) {}

  template <typename T>
  void operator()(std::string_view name, T& member) {
    json::set(object_, name, value(member), alloc_);
  }
  template <typename T>
  void operator()(std::string_view name, std::optional<T>& member) {
    if (member) json::set(object_, name, value(*member), alloc_);
  }

 private:
  json::Value value(std::string& text) { return json::string(text, alloc_); }
  json::Value value(bool& flag) { return json::Value(flag); }
  json::Value value(int& number) { return json::Value(number); }
  json::Value value(int64_t& number) { return json::Value(number); }
  json::Value value(uint64_t& number) { return json::Value(number); }
  json::Value value(ContainerState& state) { return json::Value(static_cast<int>(state)); }
  json::Value value(WallTime& time) { return json::Value(static_cast<int64_t>(time.time_since_epoch().count())); }
  json::Value value(std::tuple<std::string, uint64_t, uint64_t>& limit) {
    Rlimit named{std::get<0>(limit), std::get<1>(limit), std::get<2>(limit)};
    return value(named);
  }
  json::Value value(std::map<std::string, std::string>& map) {
    json::Value object(rapidjson::kObjectType);
    for (auto& [key, text] : map) json::set(object, key, text, alloc_);
    return object;
  }
  template <typename T>
  json::Value value(std::vector<T>& list) {
    json::Value array(rapidjson::kArrayType);
    for (T& item : list) array.PushBack(value(item), alloc_);
    return array;
  }
  template <typename T>
  json::Value value(T& members) {
    json::Value object(rapidjson::kObjectType);
    FieldWriter writer(object, alloc_);
    fields(writer, members);
    return object;
  }

  json::Value& object_;
  json::Allocator& alloc_;
};

// Reads members from a JSON object; a wrong type counts as absent.
class FieldReader {
 public:
  explicit FieldReader(const json::Value& object) : object_(object) {}

  template <typename T>
  void operator()(std::string_view name, T& member) {
    if (const json::Value* value = json::find(object_, name)) read(*value, member);
  }
  template <typename T>
  void operator()(std::string_view name, std::optional<T>& member) {
    if (const json::Value* value = json::find(object_, name)) read(*value, member.emplace());
  }

 private:
  void read(const json::Value& v, std::string& out) {
    if (v.IsString()) out = json::view(v);
  }
  void read(const json::Value& v, bool& out) {
    if (v.IsBool()) out = v.GetBool();
  }
  void read(const json::Value& v, int& out) {
    if (v.IsInt()) out = v.GetInt();
  }
  void read(const json::Value& v, int64_t& out) {
    if (v.IsInt64()) out = v.GetInt64();
  }
  void read(const json::Value& v, uint64_t& out) {
    if (v.IsUint64()) out = v.GetUint64();
  }
  void read(const json::Value& v, ContainerState& out) {
    if (v.IsInt() && v.GetInt() >= 0 && v.GetInt() <= 2) out = static_cast<ContainerState>(v.GetInt());
  }
  void read(const json::Value& v, WallTime& out) {
    if (v.IsInt64()) out = WallTime(std::chrono::microseconds(v.GetInt64()));
  }
  void read(const json::Value& v, std::tuple<std::string, uint64_t, uint64_t>& out) {
    Rlimit named;
    read(v, named);
    out = {named.name, named.soft, named.hard};
  }
  void read(const json::Value& v, std::map<std::string, std::string>& out) {
    if (!v.IsObject()) return;
    for (const auto& member : v.GetObject()) {
      if (member.value.IsString()) out.emplace(json::view(member.name), json::view(member.value));
    }
  }
  template <typename T>
  void read(const json::Value& v, std::vector<T>& out) {
    if (!v.IsArray()) return;
    out.clear();
    for (const json::Value& item : v.GetArray()) read(item, out.emplace_back());
  }
  template <typename T>
  void read(const json::Value& v, T& out) {
    if (!v.IsObject()) return;
    FieldReader reader(v);
    fields(reader, out);
  }

  const json::Value& object_;
};

template <typename T>
json::Value to_json(const T& members, json::Allocator& alloc) {
  json::Value object(rapidjson::kObjectType);
  FieldWriter writer(object, alloc);
  fields(writer, const_cast<T&>(members));  // fields() serves both directions; a writer only reads
  return object;
}

template <typename T>
T from_json(const json::Value& object) {
  T members;
  FieldReader reader(object);
  fields(reader, members);
  return members;
}

}  // namespace knarr::runtime
