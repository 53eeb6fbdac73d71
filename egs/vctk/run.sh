#!/usr/bin/env bash
# VCTK 0.80 or 0.92, about 109 voices: ./run.sh --corpus PATH [--alignments PATH] [--config conf/phoneme640.yaml]
# Phone times are TextGrids of the Montreal Forced Aligner, or made by --align true; VCTK itself has none.
cd "$(dirname "$0")" || exit 1
exec ../../recipes/run.sh --prepare vctk --config conf/vctk64.yaml --extras train,metrics,align "$@"
