#!/usr/bin/env bash
# CMU ARCTIC, two voices (bdl, slt), converted both ways: ./run.sh --corpus PATH
# PATH holds cmu_us_bdl_arctic and cmu_us_slt_arctic, from http://festvox.org/cmu_arctic/
cd "$(dirname "$0")" || exit 1
exec ../../recipes/run.sh --prepare arctic --config conf/train.yaml --name arctic \
    --extras train,metrics,align --targets "bdl slt" --conversions 20 "$@"
