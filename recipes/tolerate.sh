# For scripts that go on where some files could not be used. To be sourced.

# Run a command whose exit code 1 says that some files were left out and the others are done; other codes stop the script.
tolerate() {
    local code=0
    "$@" || code=$?
    [ "$code" -eq 1 ] || return "$code"
    echo "${0##*/}: goes on without what was left out by: $*" >&2
}
