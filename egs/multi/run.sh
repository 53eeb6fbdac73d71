#!/usr/bin/env bash
# CMU ARCTIC, LibriSpeech and VCTK together: the model that ships. ./run.sh --corpus PATH
# PATH holds cmu_arctic, LibriSpeech, VCTK-Corpus and VCTK-Corpus-0.92, or some of them.
cd "$(dirname "$0")" || exit 1
exec ../../recipes/run.sh --prepare multi --config conf/train.yaml --name multi \
    --extras train,metrics,align "$@"
