#!/usr/bin/env bash
# What helps the phonetic content of the units: ./ablation.sh --corpus PATH [--only NAME]
# PATH is that of egs/multi/run.sh: the rows learn from all speech there but the utterances that are scored.
set -euo pipefail
cd "$(dirname "$0")"
[ "${1:-}" = --corpus ] && [ $# -ge 2 ] || { sed -n '2,3p' "$0" >&2; exit 2; }
data=../multi/data
[ -e $data/train/wav.scp ] || ../multi/run.sh --corpus "$2" --stop-stage 2
shift 2
. ../../recipes/setup.sh train,metrics
exec python ../../recipes/ablation.py conf/ablation.yaml --train $data/train --dev $data/dev --test $data/test --exp exp/ablation "$@"
