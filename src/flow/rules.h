// FlowSchemas made ready for matching: which flow a request belongs to.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "knarr/auth/authn.h"
#include "knarr/flow/flow_control.h"
#include "knarr/schema/api/flowcontrol_v1.h"

namespace knarr::flow {

// Words of a rule, or all there are.
struct Words {
  explicit Words(const std::vector<std::string>& words);
  bool has(std::string_view word) const;

  std::vector<std::string> words;
  bool all;
};

class Matcher {
 public:
  explicit Matcher(const api::flowcontrol::v1::FlowSchemaSpec& spec);

  bool matches(const Question& question) const;
  // What tells the flows of the schema apart.
  std::string_view distinguisher(const Question& question) const;

 private:
  struct Subject {
    enum class Kind { kUser, kGroup, kServiceAccount, kServiceAccounts, kAnybody, kNobody } kind;
    std::string name;  // of a service account: its user name; of a namespace's: their common beginning
  };
  struct ResourceRule {
    Words verbs, groups, resources, namespaces;
    bool cluster_scope;
    bool matches(const Question& question) const;
  };
  struct PathRule {
    Words verbs;
    std::vector<std::string> paths;  // exact ones
    std::vector<std::string> roots;  // "/a/" has what is below it
    bool all;
    bool matches(const Question& question) const;
  };
  struct Rules {
    std::vector<Subject> subjects;
    std::vector<ResourceRule> resources;
    std::vector<PathRule> paths;
  };
  static Subject read(const api::flowcontrol::v1::Subject& subject);
  static bool matches(const Subject& subject, const auth::UserInfo& user);

  enum class Distinguisher { kNone, kUser, kNamespace } distinguisher_ = Distinguisher::kNone;
  std::vector<Rules> rules_;
};

}  // namespace knarr::flow
