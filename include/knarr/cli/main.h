// The entry of the program: finds the command that was typed and runs it. Answers the exit code: 0 done, 1 failed, 2
// wrong usage.
#pragma once

namespace knarr::cli {
int run(int argc, char** argv);
}
