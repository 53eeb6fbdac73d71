#!/usr/bin/env bash
# Install what the tests need, and run them.
#
#   ./tests/run.sh              the fast suite, under three minutes on two cores
#   ./tests/run.sh all          the slow tests too
#   ./tests/run.sh demo         the demo in a headless browser
#   ./tests/run.sh -k units     anything else is handed to pytest
set -euo pipefail
cd "$(dirname "$0")/.."
. recipes/setup.sh dev

case "${1:-fast}" in
    fast) marks="not slow and not gpu and not demo" ;;
    all) marks="not gpu and not demo" ;;
    demo) marks="demo" ;;
    *) exec python -m pytest "$@" ;;
esac
shift || true
ruff check .
exec python -m pytest -n 2 -m "$marks" "$@"
