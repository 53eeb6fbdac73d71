#!/usr/bin/env bash
# What units are worth to a recogniser: the same small CTC model on units, on k-means units, on MFCC, on random units.
#
#   recipes/recognise.sh --prepare NAME --corpus PATH [options]
#
# It works in the current folder: data/ and exp/ are made there. egs/digits/run.sh and egs/arctic/asr.sh call it.
set -euo pipefail
recipes="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

prepare=""          # which recipes/prepare_NAME.py makes the data directories
corpus=""           # path of the corpus, handed to it
model=""            # model directory; the one that ships where left out
exp=exp/recognise
train=train
test="test"
labels=words        # or characters
epochs=20
stride=4            # units that become one output of the recogniser
seeds=3
stage=1
stop_stage=5

while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) sed -n '2,7p;s/^\([a-z_]*\)=\([^ ]*\) *\(#.*\)\{0,1\}$/  --\1 (\2) \3/p' "$0"; exit 0 ;;
        --*)
            option="${1#--}"; option="${option//-/_}"
            if [ -z "${!option+known}" ] || [ "$option" = recipes ]; then echo "recognise.sh: no option $1" >&2; exit 2; fi
            [ $# -ge 2 ] || { echo "recognise.sh: $1 needs a value" >&2; exit 2; }
            printf -v "$option" '%s' "$2"; shift 2 ;;
        *) echo "recognise.sh: unexpected '$1'" >&2; exit 2 ;;
    esac
done
if [ -z "$prepare" ]; then echo "recognise.sh: --prepare NAME is missing; run egs/digits/run.sh" >&2; exit 2; fi
. "$recipes/setup.sh" metrics
# shellcheck source=/dev/null
. "$recipes/tolerate.sh"

sets="$train $test"
at() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] && printf '\n== stage %s: %s\n' "$1" "$2"; }

if at 1 "prepare"; then
    # Another recipe may have prepared it, and added phone times.
    if [ ! -e "data/$train/wav.scp" ]; then
        [ -n "$corpus" ] || { echo "recognise.sh: --corpus PATH is missing" >&2; exit 2; }
        tolerate python "$recipes/prepare_$prepare.py" "$corpus" data
    fi
fi

if at 2 "encode"; then
    for set in $sets; do tolerate speechvq encode ${model:+--model "$model"} "data/$set" -o "$exp/units/$set"; done
fi

if at 3 "what to compare with"; then
    # shellcheck disable=SC2086
    python "$recipes/baseline_inputs.py" "$exp/units" data "$exp" --sets $sets
fi

if at 4 "export"; then
    for set in $sets; do
        for input in units kmeans kmeans-normalised random; do
            speechvq export "$exp/$input/$set" --format kaldi-text --text "data/$set" -o "$exp/inputs/$input/$set"
        done
        for input in units kmeans; do
            speechvq export "$exp/$input/$set" --dedup --format kaldi-text --text "data/$set" -o "$exp/inputs/$input-dedup/$set"
        done
        mkdir -p "$exp/inputs/mfcc/$set"
        cp "$exp/mfcc/$set/features.npz" "data/$set/text" "$exp/inputs/mfcc/$set/"
    done
fi

if at 5 "recognise"; then
    # shellcheck disable=SC2086
    python "$recipes/recognise.py" "$exp/inputs" --train "$train" --test $test --labels "$labels" --epochs "$epochs" \
        --stride "$stride" --seeds "$seeds" --results "$exp/results.json" \
        --names units kmeans units-dedup kmeans-dedup kmeans-normalised mfcc random | tee "$exp/results.md"
fi
