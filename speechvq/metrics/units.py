"""Units against phones, frame by frame, and units by themselves.

Everything starts from one table, `unit_phone_counts`: how often unit k and phone p
share a frame. Phones are numbers here; their names stay with the caller.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln


def unit_phone_counts(ids: np.ndarray, phones: np.ndarray, codebook_size: int, num_phones: int) -> np.ndarray:
    """Count the frames that each unit shares with each phone.

    Args:
        ids: [N] in [0, codebook_size).
        phones: [N] in [0, num_phones).
        codebook_size: K.
        num_phones: P.

    Returns:
        [K, P] int64.
    """
    cells = np.asarray(ids, np.int64) * num_phones + np.asarray(phones, np.int64)
    return np.bincount(cells, minlength=codebook_size * num_phones).reshape(codebook_size, num_phones)


def majority_map(counts: np.ndarray) -> np.ndarray:
    """The phone that each unit most often stands for.

    Args:
        counts: [K, P] of the utterances that the map is learned on.

    Returns:
        [K] phones; a unit that was never seen gets the phone most frequent overall,
        and of phones equally frequent the first is taken.

    Source: van den Oord et al. 2017, arXiv 1711.00937, section 4.3.
    """
    mapping = counts.argmax(axis=1)
    mapping[counts.sum(axis=1) == 0] = majority_class(counts)
    return mapping


def majority_class(counts: np.ndarray) -> int:
    """The most frequent phone of a table [K, P]: what guesses that never look at the units would say."""
    return int(counts.sum(axis=0).argmax())


def frame_accuracy(ids: np.ndarray, phones: np.ndarray, mapping: np.ndarray) -> float:
    """The share of frames whose unit maps to their phone.

    Args:
        ids: [N] units.
        phones: [N].
        mapping: [K] from `majority_map`, learned on other utterances than these.

    Returns:
        in [0, 1]; nan without frames.
    """
    return float((mapping[ids] == phones).mean()) if len(ids) else float("nan")


def confusion(phones: np.ndarray, predicted: np.ndarray, num_phones: int) -> np.ndarray:
    """Count the frames of each phone [N] that were taken for each phone [N]: [P true, P predicted]."""
    return unit_phone_counts(phones, predicted, num_phones, num_phones)


def phone_purity(counts: np.ndarray) -> float:
    """Accuracy of the map on the frames it was learned from.

    Source: Hsu et al. 2021 (HuBERT), arXiv 2106.07447.
    """
    return float(counts.max(axis=1).sum() / counts.sum())


def cluster_purity(counts: np.ndarray) -> float:
    """Accuracy of guessing the unit from the phone; it falls as the codebook grows.

    Source: Hsu et al. 2021 (HuBERT), arXiv 2106.07447.
    """
    return float(counts.max(axis=0).sum() / counts.sum())


def phone_normalized_mutual_information(counts: np.ndarray) -> float:
    """The share of the uncertainty about the phone that knowing the unit takes away, I(phone; unit) / H(phone).

    Source: Hsu et al. 2021 (HuBERT), arXiv 2106.07447.
    """
    phone_entropy = entropy(counts.sum(axis=0))
    return mutual_information(counts) / phone_entropy if phone_entropy else 0.0


def normalized_mutual_information(counts: np.ndarray) -> float:
    """I(phone; unit) over the mean of both entropies, in [0, 1]."""
    mean = (entropy(counts.sum(axis=0)) + entropy(counts.sum(axis=1))) / 2
    return mutual_information(counts) / mean if mean else 0.0


def adjusted_mutual_information(counts: np.ndarray) -> float:
    """Mutual information above what units dealt out at random would have, over the most it could be.

    Args:
        counts: [K, P]; the two entropies are averaged as in `normalized_mutual_information`.

    Source: Vinh, Epps, Bailey 2010, JMLR 11.
    """
    expected = expected_mutual_information(counts.sum(axis=1), counts.sum(axis=0))
    mean = (entropy(counts.sum(axis=0)) + entropy(counts.sum(axis=1))) / 2
    above, room = mutual_information(counts) - expected, mean - expected
    return float(above / room) if room > 0 else 0.0


def expected_mutual_information(a: np.ndarray, b: np.ndarray) -> float:
    """Mean of the mutual information over all tables with the margins `a` [K] and `b` [P].

    Args:
        a: how often each unit occurs.
        b: how often each phone occurs; sums to the same.

    Returns:
        nats.

    Source: Vinh, Epps, Bailey 2010, JMLR 11.
    """
    a, b = a[a > 0], b[b > 0]
    total = a.sum()
    fact = gammaln(np.arange(total + 1) + 1.0)  # fact[n] is log n!
    expected = 0.0
    for m in a:
        for n in b:
            # The shared count follows a hypergeometric law; its terms far from the mean vanish in float64.
            mean, spread = m * n / total, 12 * np.sqrt(m * n / total) + 40
            low = max(m + n - total, 1, int(mean - spread))
            shared = np.arange(low, min(m, n, int(mean + spread)) + 1)
            log_p = fact[m] + fact[n] + fact[total - m] + fact[total - n] - fact[total] - fact[shared]
            log_p -= fact[m - shared] + fact[n - shared] + fact[total - m - n + shared]
            expected += float((np.exp(log_p) * shared / total * np.log(total * shared / (m * n))).sum())
    return expected


def mutual_information(counts: np.ndarray) -> float:
    """I(phone; unit) of a table [K, P], in nats."""
    joint = entropy(counts.ravel())
    return max(0.0, entropy(counts.sum(axis=0)) + entropy(counts.sum(axis=1)) - joint)


def entropy(counts: np.ndarray) -> float:
    """Entropy of the empirical distribution of counts, in nats."""
    counts = counts[counts > 0]
    p = counts / counts.sum()
    return float(-(p * np.log(p)).sum())


def codebook_usage(unit_counts: np.ndarray) -> dict[str, float]:
    """How much of the codebook is alive.

    Args:
        unit_counts: [K] frames of each unit.

    Returns:
        `used` and `dead` units, and `perplexity`, the exponential of the entropy: K if all are equally frequent.
    """
    used = int((unit_counts > 0).sum())
    return dict(used=used, dead=len(unit_counts) - used, perplexity=float(np.exp(entropy(unit_counts))))


def bitrate(utterances: list[np.ndarray], seconds: float, dedup: bool = False) -> float:
    """Bits per second of a whole set: symbols per second times the entropy of their empirical distribution.

    Args:
        utterances: the ids [N] of each.
        seconds: how long all last together.
        dedup: count a run of one unit once.

    Source: Dunbar et al. 2019, "The Zero Resource Speech Challenge 2019: TTS without T".
    """
    if dedup:
        utterances = [ids[np.r_[True, ids[1:] != ids[:-1]]] if len(ids) else ids for ids in utterances]
    symbols = np.concatenate(utterances)
    return len(symbols) / seconds * entropy(np.bincount(symbols)) / np.log(2)
