"""Words of a transcript, and how a word that no dictionary has might be said."""

from __future__ import annotations

import re

# Letters -> phones; at each place in a word the longest entry wins. Rough, but phone times need no more:
# the aligner has the audio to decide where each phone lies.
_LETTERS = {
    "a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH", "k": "K",
    "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T", "u": "AH", "v": "V",
    "w": "W", "x": "K S", "y": "IY", "z": "Z",
    "ai": "EY", "air": "EH R", "ar": "AA R", "au": "AO", "aw": "AO", "ay": "EY", "all": "AO L",
    "bb": "B", "cc": "K", "ce": "S EH", "ch": "CH", "ci": "S IH", "ck": "K", "cy": "S IY", "dd": "D", "dge": "JH",
    "ea": "IY", "ear": "IH R", "ee": "IY", "ei": "EY", "er": "ER", "eu": "UW", "ew": "UW", "ey": "IY",
    "ff": "F", "ge": "JH EH", "gg": "G", "gh": "", "gi": "JH IH", "gn": "N", "ie": "IY", "igh": "AY", "ir": "ER",
    "kn": "N", "ll": "L", "mm": "M", "ng": "NG", "nk": "NG K", "nn": "N", "oa": "OW", "oi": "OY", "oo": "UW", "or": "AO R",
    "ou": "AW", "ow": "OW", "oy": "OY", "ph": "F", "pp": "P", "qu": "K W", "rr": "R", "sch": "SH", "sh": "SH",
    "sion": "ZH AH N", "ss": "S", "tch": "CH", "th": "TH", "tion": "SH AH N", "tt": "T", "ur": "ER", "wh": "W", "wr": "R",
    "zz": "Z",
}  # fmt: skip
# Only at the end of a word: silent e, and its way of lengthening the vowel before one consonant.
_ENDINGS = {
    "ace": "EY S", "age": "IH JH", "ake": "EY K", "ale": "EY L", "ame": "EY M", "ane": "EY N", "ate": "EY T", "ave": "EY V",
    "ble": "B AH L", "ed": "D", "es": "Z", "ge": "JH", "ce": "S", "ice": "AY S", "ide": "AY D", "ike": "AY K", "ile": "AY L",
    "ime": "AY M", "ine": "AY N", "ite": "AY T", "ive": "IH V", "ize": "AY Z", "le": "AH L", "ole": "OW L", "ome": "OW M",
    "one": "OW N", "ope": "OW P", "ose": "OW Z", "ote": "OW T", "ove": "OW V", "ude": "UW D", "ue": "UW", "une": "UW N",
    "ure": "ER", "use": "UW Z", "ute": "UW T", "a": "AH", "o": "OW", "ia": "IY AH", "s": "Z", "'s": "Z", "e": "",
}  # fmt: skip
_LONGEST = max(map(len, _LETTERS))


def normalize(text: str) -> list[str]:
    """Words of a transcript: lower case, without punctuation but for the apostrophe within a word."""
    text = text.lower().replace("’", "'").replace("&", " and ")
    return [word for word in (match.strip("'") for match in re.findall(r"[^\W_]+(?:'[^\W_]+)*'?", text)) if word]


def guess_pronunciation(word: str) -> str | None:
    """Phones of an English word by its spelling.

    Args:
        word: lower case.

    Returns:
        phones of the CMU dictionary without stress, or None where the word has other signs than letters.
    """
    if not re.fullmatch(r"[a-z][a-z']*", word):
        return None
    ending = next((e for e in sorted(_ENDINGS, key=len, reverse=True) if word.endswith(e) and len(word) > len(e) + 1), "")
    stem = word[: len(word) - len(ending)].replace("'", "")
    phones: list[str] = []
    at = 0
    while at < len(stem):
        size = next(n for n in range(_LONGEST, 0, -1) if stem[at : at + n] in _LETTERS)
        phones += _LETTERS[stem[at : at + size]].split()
        at += size
    return " ".join(phones + _ENDINGS.get(ending, "").split()) or None
