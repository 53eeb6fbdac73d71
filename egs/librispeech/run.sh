#!/usr/bin/env bash
# LibriSpeech: ./run.sh --corpus PATH, where PATH holds train-clean-100 or more of its parts.
cd "$(dirname "$0")" || exit 1
exec ../../recipes/run.sh --prepare librispeech --config conf/vctk64.yaml --name libri64 --extras train,metrics,align "$@"
