#!/usr/bin/env bash
# Install what the tests need, and run them.
#
#   ./tests/run.sh              the fast suite, under three minutes on two cores
#   ./tests/run.sh all          the slow tests too
#   ./tests/run.sh demo         the demo, in a headless browser too
#   ./tests/run.sh -k units     anything else is handed to pytest
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-fast}" in
    demo) extras=dev,demo ;;
    *) extras=dev ;;
esac
. recipes/setup.sh "$extras"

# What the browser tests need beyond Python; where it cannot be had, say so and skip.
prepare_demo() {
    python -c 'import gradio, playwright' 2>/dev/null \
        || python -m pip install --quiet -c constraints.txt 'gradio>=6' playwright \
        || { echo "skipped: gradio and playwright cannot be installed here"; exit 0; }
    [ -n "${CHROMIUM:-}" ] || command -v chromium > /dev/null || command -v chromium-browser > /dev/null && return
    if command -v apt-get > /dev/null && [ "$(id -u)" = 0 ]; then
        apt-get update -qq && apt-get install -y -qq chromium > /dev/null && return
    fi
    echo "skipped: no chromium here; install Debian's package chromium, or name a browser in \$CHROMIUM"
    exit 0
}

case "${1:-fast}" in
    fast) marks="not slow and not gpu and not demo" ;;
    all) marks="not gpu and not demo" ;;
    demo)
        prepare_demo
        shift
        # One server and one browser at a time: these tests are about a page, not about speed.
        exec python -m pytest tests/demo "$@"
        ;;
    *) exec python -m pytest "$@" ;;
esac
shift || true
ruff check .
exec python -m pytest -n 2 -m "$marks" "$@"
