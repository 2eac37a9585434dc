// What the agent and the factory of shims agree on.
#pragma once

#include <string>

namespace knarr::runtime {

inline constexpr int kControlFd = 3;  // the factory's socket to its agent, as it is exec'd

// The command line's third word: blanks, which the factory and its shims write their pod's name over.
inline std::string title_placeholder() { return std::string(120, ' '); }

}  // namespace knarr::runtime
