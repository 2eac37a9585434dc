#include "knarr/cli/main.h"

namespace knarr::cli {
int run(int argc, char** argv) { return 2; }
}  // namespace knarr::cli
