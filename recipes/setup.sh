# Source this: an environment with speechvq in it, made where there is none.
#
#   . recipes/setup.sh EXTRAS        e.g.  . recipes/setup.sh synth,train
#
# An environment that is active is used as it is; otherwise .venv is made, or brought up to date.
# Needs bash and Python 3.11 or newer, nothing else.

speechvq_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

speechvq_find_python() {
    local python
    for python in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    echo "speechvq needs Python 3.11 or newer; none was found on PATH" >&2
    return 1
}

speechvq_install() {
    local extras="$1" pip=(python -m pip install --quiet --disable-pip-version-check)
    echo "Installing speechvq[$extras] into $VIRTUAL_ENV (once; a minute or two)" >&2
    # Without an NVIDIA driver the CPU build of torch saves gigabytes; where no index offers one, the plain build does.
    if ! python -c 'import torch' 2>/dev/null && [ ! -e /proc/driver/nvidia/version ] && [ "$(uname)" = Linux ]; then
        local pinned
        pinned="$(grep '^torch==' "$speechvq_root/constraints.txt")"
        "${pip[@]}" --retries 0 --timeout 20 --extra-index-url https://download.pytorch.org/whl/cpu "$pinned+cpu" 2>/dev/null || true
    fi
    "${pip[@]}" -c "$speechvq_root/constraints.txt" -e "$speechvq_root[$extras]"
}

speechvq_setup() {
    local extras="$1" python stamp wanted
    if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && python -c 'import speechvq' 2>/dev/null; then
        return
    fi
    if [ ! -x "$speechvq_root/.venv/bin/python" ]; then
        python="$(speechvq_find_python)" || return
        "$python" -m venv "$speechvq_root/.venv" || return
    fi
    # shellcheck disable=SC1091
    . "$speechvq_root/.venv/bin/activate"
    # One stamp for each set of extras: what is installed follows setup.cfg.
    stamp="$speechvq_root/.venv/speechvq-${extras//,/-}.stamp"
    wanted="$(cat "$speechvq_root/setup.cfg" "$speechvq_root/constraints.txt" | cksum)"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        speechvq_install "$extras" || return
        echo "$wanted" > "$stamp"
    fi
}

speechvq_setup "${1:-train}" || exit 1
