#!/usr/bin/env bash
# Everything, small: a synthetic corpus of four voices, trained, scored and converted in twenty minutes.
# Nothing is downloaded but Python packages. Ends with report.html.
cd "$(dirname "$0")" || exit 1
exec ../../recipes/run.sh --prepare synthetic --config conf/train.yaml --name mini \
    --extras synth,train,metrics --prepare-options "--voices 4" --conversions 24 "$@"
