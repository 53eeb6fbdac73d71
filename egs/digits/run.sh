#!/usr/bin/env bash
# Spoken digits of a speaker that the recogniser never heard: ./run.sh --corpus PATH
# PATH holds recordings/, from https://github.com/Jakobovski/free-spoken-digit-dataset
cd "$(dirname "$0")" || exit 1
exec ../../recipes/recognise.sh --prepare fsdd --test "test_unseen test" --labels words "$@"
