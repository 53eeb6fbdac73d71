"""Units in the forms that other toolkits load: one module a format, each writes it and reads it back.

A module has CONSUMER, EXAMPLE, `write(directory, batches, meta)` and `read(directory, meta)`; one whose files keep
the repeats even of collapsed runs has KEEPS_RUNS. Its docstring says its limits; docs/exports.md shows them all.
"""

from speechvq.formats import (
    ctm,
    espnet,
    fairseq,
    gslm,
    hf,
    kaldi_ark,
    kaldi_text,
    lhotse,
    npz,
    slamkit,
    speech_resynthesis,
    textgrid,
    textless,
    zerospeech2019,
    zerospeech2021,
)

FORMATS = {
    "kaldi-text": kaldi_text,
    "kaldi-ark": kaldi_ark,
    "lhotse": lhotse,
    "espnet": espnet,
    "fairseq": fairseq,
    "gslm": gslm,
    "textless": textless,
    "speech-resynthesis": speech_resynthesis,
    "slamkit": slamkit,
    "hf": hf,
    "textgrid": textgrid,
    "ctm": ctm,
    "zerospeech2019": zerospeech2019,
    "zerospeech2021": zerospeech2021,
    "npz": npz,
}
