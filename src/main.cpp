#include "knarr/cli/main.h"

int main(int argc, char** argv) { return knarr::cli::run(argc, argv); }
