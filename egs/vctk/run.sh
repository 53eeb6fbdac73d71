#!/usr/bin/env bash
# VCTK 0.80 or 0.92, about 109 voices: ./run.sh --corpus PATH [--config conf/phoneme640.yaml]
# Phone times come from PATH/alignments (TextGrids of the Montreal Forced Aligner), or by --align true.
cd "$(dirname "$0")" || exit 1
exec ../../recipes/run.sh --prepare vctk --config conf/vctk64.yaml --extras train,metrics,align "$@"
