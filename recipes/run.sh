#!/usr/bin/env bash
# The pipeline: a corpus in; a model, its units, their scores and converted voices out.
#
#   recipes/run.sh --prepare NAME [--corpus PATH] --config CONFIG [options]
#
# It works in the current folder: data/ and exp/ are made there. egs/*/run.sh call it.
set -euo pipefail
recipes="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

prepare=""        # which recipes/prepare_NAME.py makes the data directories
corpus=""         # path of the corpus, handed to it
alignments=""     # phone times, handed to it
prepare_options=""  # more of its options
config=vctk64     # configuration or preset to train
name=""           # of the experiment; the configuration's where left out
targets=""        # voices to convert to; all where left out
conversions=24    # how many test utterances to convert
train_options=""  # more options of `speechvq train`
extras=train,metrics  # what must be installed
prior=""          # configuration or preset of a prior over the units; none where left out
prior_options=""  # more options of its `speechvq train`
align=false       # phone times by pocketsphinx where the corpus has none
report=report.html
stage=1
stop_stage=10
nj="$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)"

usage() {
    cat <<TEXT
Usage: ${0##*/} [--option value ...]
  --corpus PATH         the corpus, as its makers distribute it
  --config CONFIG       a YAML file or a preset                    ($config)
  --name NAME           of the experiment, exp/NAME
  --targets "A B"       voices to convert to
  --conversions N       how many test utterances to convert        ($conversions)
  --alignments PATH     phone times: TextGrids, .lab files, a CTM  (CORPUS/alignments)
  --train-options "..." handed to speechvq train, e.g. "--set train.steps=500"
  --prepare-options "..." handed to the prepare script
  --prior CONFIG        train a prior over the units too, e.g. prior
  --prior-options "..." handed to its speechvq train
  --align true|false    make phone times where there are none      ($align)
  --stage N --stop-stage M   run only these stages                 ($stage to $stop_stage)
  --nj N                processes, where a stage can use them      ($nj)
Stages: 1 prepare  2 validate  3 align  4 train  5 encode  6 score units  7 convert  8 score voices  9 prior  10 export and report
Example: ${0##*/} --corpus /data/corpus --stage 4
TEXT
}

while [ $# -gt 0 ]; do
    case "$1" in
        -h | --help) usage; exit 0 ;;
        --*)
            option="${1#--}"; option="${option//-/_}"
            if [ -z "${!option+known}" ] || [ "$option" = recipes ]; then
                echo "run.sh: no option $1" >&2; usage >&2; exit 2
            fi
            [ $# -ge 2 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; }
            printf -v "$option" '%s' "$2"; shift 2 ;;
        *) echo "run.sh: unexpected '$1'" >&2; usage >&2; exit 2 ;;
    esac
done
if [ -z "$prepare" ]; then echo "run.sh: --prepare NAME is missing; run one of egs/*/run.sh" >&2; exit 2; fi
. "$recipes/setup.sh" "$extras"
# shellcheck source=/dev/null
. "$recipes/tolerate.sh"

name="${name:-$(basename "$config" .yaml)}"
exp="exp/$name"
model="$exp/best"
began=$SECONDS

# Whether stage $1 is among those to run; says what it does.
at() {
    [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ] || return 1
    printf '\n== stage %s: %s (%s s)\n' "$1" "$2" "$((SECONDS - began))"
}

# Whether list $1 has nothing under its heading; one that is not there is for its reader to complain about.
is_empty() { [ -e "$1" ] && [ "$(wc -l < "$1")" -le 1 ]; }

if at 1 "prepare"; then
    # shellcheck disable=SC2086
    tolerate python "$recipes/prepare_$prepare.py" ${corpus:+"$corpus"} data ${alignments:+--alignments "$alignments"} $prepare_options
fi

if at 2 "validate"; then
    for set in train dev test; do speechvq validate "data/$set"; done
fi

if at 3 "phone times"; then
    if [ "$align" = true ]; then
        for set in train dev test; do [ -s "data/$set/phones.ctm" ] || tolerate speechvq align "data/$set" --nj "$nj"; done
    fi
fi

if at 4 "train $config"; then
    # shellcheck disable=SC2046,SC2086
    speechvq train "$config" --data data/train --dev data/dev --exp "$exp" \
        $([ ! -e "$exp/trainer.pt" ] || echo --resume) $train_options
fi

if at 5 "encode"; then
    for set in train test; do tolerate speechvq encode --model "$model" "data/$set" -o "$exp/units/$set"; done
fi

if at 6 "units against phones"; then
    if [ ! -s data/test/phones.ctm ]; then
        echo "data/test has no phone times: skipped (--align true makes them)"
    elif [ -s data/train/phones.ctm ]; then
        speechvq evaluate units --units "$exp/units/test" --data data/test \
            --map-units "$exp/units/train" --map-data data/train --json > "$exp/units.json"
    else
        speechvq evaluate units --units "$exp/units/test" --data data/test --folds 5 --json > "$exp/units.json"
    fi
fi

if at 7 "convert"; then
    # shellcheck disable=SC2086
    voices="$model/speakers.txt"
    python "$recipes/conversion_list.py" data/test "$exp/conversions.csv" --voices "$voices" \
        --count "$conversions" ${targets:+--targets $targets}
    # One speaker alone has nobody to become.
    if is_empty "$exp/conversions.csv"; then
        echo "nothing to convert: skipped"
    else
        tolerate speechvq convert --model "$model" "$exp/conversions.csv" -o "$exp/converted"
    fi
    python "$recipes/conversion_list.py" data/test "$exp/reconstructions.csv" --voices "$voices" --count 6 --targets self
    # A corpus whose test speakers are all unknown to the model has nothing to reconstruct.
    if is_empty "$exp/reconstructions.csv"; then
        echo "nothing to reconstruct: skipped"
    else
        tolerate speechvq convert --model "$model" "$exp/reconstructions.csv" -o "$exp/reconstructed"
    fi
fi

if at 8 "voices"; then
    if is_empty "$exp/conversions.csv"; then
        echo "nothing was converted: skipped"
    else
        tolerate speechvq evaluate conversion --converted "$exp/converted" --list "$exp/conversions.csv" --data data/test \
            --train-data data/train --json > "$exp/conversion.json"
    fi
fi

if at 9 "prior"; then
    if [ -z "$prior" ]; then
        echo "no --prior: skipped"
    else
        tolerate speechvq encode --model "$model" data/dev -o "$exp/units/dev"
        # shellcheck disable=SC2046,SC2086
        speechvq train "$prior" --data "$exp/units/train" --dev "$exp/units/dev" --exp "$exp/prior" \
            $([ ! -e "$exp/prior/trainer.pt" ] || echo --resume) $prior_options
        tolerate speechvq score "$exp/units/test" --prior "$exp/prior/best" --json > "$exp/prior.json"
        tolerate speechvq generate --model "$model" --prior "$exp/prior/best" --speaker "$(head -1 "$model/speakers.txt")" -o "$exp/generated"
    fi
fi

if at 10 "export and report"; then
    speechvq export "$exp/units/test" --format kaldi-text -o "$exp/export/test"
    python "$recipes/report.py" --exp "$exp" --data data/test -o "$report"
    echo "Open $PWD/$report"
fi
printf '\nDone in %s s.\n' "$((SECONDS - began))"
