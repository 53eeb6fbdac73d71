#!/usr/bin/env bash
# Your own recordings: copy this folder, put them in one folder per speaker, and run
#   ./run.sh --corpus PATH          where PATH holds SPEAKER/*.wav (or flac, ogg, mp3, ...)
cd "$(dirname "$0")" || exit 1
exec ../../recipes/run.sh --prepare folder --config conf/train.yaml "$@"
