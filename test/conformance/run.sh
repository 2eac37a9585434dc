#!/usr/bin/env bash
# Runs upstream's conformance tests against a fresh knarr; see README.md beside this file.
exec python3 "$(dirname "${BASH_SOURCE[0]}")/run.py" "$@"
