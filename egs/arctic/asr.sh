#!/usr/bin/env bash
# Characters of CMU ARCTIC sentences that the recogniser never heard, by speakers that it did: ./asr.sh --corpus PATH
# PATH holds cmu_us_bdl_arctic and cmu_us_slt_arctic, from http://festvox.org/cmu_arctic/
cd "$(dirname "$0")" || exit 1
exec ../../recipes/recognise.sh --prepare arctic --test test --labels characters --epochs 20 --seeds 1 "$@"
