"""Ids to text and back, as loops that numba compiles: text is where exporting spends its time."""

from __future__ import annotations

import numba
import numpy as np

NEWLINE, TAB, SPACE, POINT = 10, 9, 32, 46
ZERO, NINE = 48, 57


@numba.njit(cache=True, nogil=True)
def join_tokens(ids, lengths, tokens, token_starts, out, row_ends):
    """Write the token of every id, row after row.

    Args:
        ids: [N] integers.
        lengths: [n] ids of each row.
        tokens: uint8, the bytes of all tokens end to end.
        token_starts: [K + 1] where each token begins in `tokens`.
        out: uint8 to write to, long enough.
        row_ends: [n] written: where each row ends in `out`.
    """
    position = 0
    here = 0
    for row in range(len(lengths)):
        for _ in range(lengths[row]):
            unit = ids[here]
            for k in range(token_starts[unit], token_starts[unit + 1]):
                out[position] = tokens[k]
                position += 1
            here += 1
        row_ends[row] = position


@numba.njit(cache=True, nogil=True)
def parse_integers(text, separators, ids, lengths):
    """Read rows of non-negative integers; every row ends with a newline.

    Args:
        text: uint8.
        separators: [256] bool, the bytes that may stand between, before and after numbers.
        ids: int64 to write to, long enough.
        lengths: [n] written: integers in each row.

    Returns:
        The row that is not so, or -1; and how many integers were read.
    """
    row = 0
    count = 0
    before = 0
    value = -1
    for k in range(len(text)):
        byte = text[k]
        if ZERO <= byte <= NINE:
            value = max(value, 0) * 10 + (byte - ZERO)
            if value > 0xFFFFFFFF:
                return row, count
            continue
        if value >= 0:
            ids[count] = value
            count += 1
            value = -1
        if byte == NEWLINE:
            lengths[row] = count - before
            before = count
            row += 1
        elif not separators[byte]:
            return row, count
    return -1, count


@numba.njit(cache=True, nogil=True)
def _put_number(out, position, value):
    """Write `value`; return the position after it."""
    length = 1
    power = 10
    while value >= power:
        length += 1
        power *= 10
    for k in range(length - 1, -1, -1):
        out[position + k] = ZERO + value % 10
        value //= 10
    return position + length


@numba.njit(cache=True, nogil=True)
def _put_seconds(out, position, micros):
    """Write microseconds as seconds with six decimals; return the position after them."""
    seconds = micros // 1000000
    position = _put_number(out, position, seconds)
    out[position] = POINT
    rest = np.uint32(micros - seconds * 1000000)  # short division is much the faster
    for k in range(6, 0, -1):
        out[position + k] = np.uint8(ZERO) + np.uint8(rest % np.uint32(10))
        rest //= np.uint32(10)
    return position + 7


@numba.njit(cache=True, nogil=True)
def ctm_lines(names, name_ends, lengths, ids, starts, ends, out):
    """Write `name 1 start duration id` for every run, times in seconds with six decimals.

    Args:
        names: uint8, the names of all utterances end to end.
        name_ends: [n] where each ends.
        lengths: [n] runs of each.
        ids: [M] of each run.
        starts: int64 [M] in microseconds.
        ends: int64 [M] in microseconds.
        out: uint8 to write to, long enough.

    Returns:
        The number of bytes written.
    """
    position = 0
    run = 0
    name_start = 0
    for row in range(len(lengths)):
        for _ in range(lengths[row]):
            for k in range(name_start, name_ends[row]):
                out[position] = names[k]
                position += 1
            out[position] = SPACE
            out[position + 1] = ZERO + 1
            position += 2
            for time in (starts[run], ends[run] - starts[run]):
                out[position] = SPACE
                position = _put_seconds(out, position + 1, time)
            out[position] = SPACE
            position = _put_number(out, position + 1, ids[run])
            out[position] = NEWLINE
            position += 1
            run += 1
        name_start = name_ends[row]
    return position


@numba.njit(cache=True, nogil=True)
def _take_number(text, position, decimals):
    """Read digits, and after a point that many decimals; return the value in units of 10^-decimals, and the end.

    The end is -1 where there is no number.
    """
    value = 0
    digits = 0
    while ZERO <= text[position] <= NINE and digits < 13:
        value = value * 10 + (text[position] - ZERO)
        position += 1
        digits += 1
    left = decimals
    if decimals and text[position] == POINT:
        position += 1
        while ZERO <= text[position] <= NINE:
            if left:
                value = value * 10 + (text[position] - ZERO)
                left -= 1
            position += 1
            digits += 1
    if digits == 0:
        return 0, -1
    return value * 10**left, position


@numba.njit(cache=True, nogil=True)
def _after_spaces(text, position):
    while text[position] == SPACE or text[position] == TAB:
        position += 1
    return position


@numba.njit(cache=True, nogil=True)
def _after_word(text, position):
    while text[position] != SPACE and text[position] != TAB and text[position] != NEWLINE:
        position += 1
    return position


@numba.njit(cache=True, nogil=True)
def _same(text, start, end, other_start, other_end):
    if end - start != other_end - other_start:
        return False
    while start < end and text[start] == text[other_start]:
        start += 1
        other_start += 1
    return start == end


@numba.njit(cache=True, nogil=True)
def parse_ctm(text, names, first, numbers):
    """Read lines `name channel start duration id [anything]`.

    Args:
        text: uint8; the last byte is a newline.
        names: int64 [n, 2] written: where each line's name starts and ends.
        first: bool [n] written: the name differs from the line before.
        numbers: int64 [3, n] written: start and duration in microseconds, and id.

    Returns:
        The line that is not so, or -1.
    """
    position = 0
    for line in range(len(first)):
        names[line, 0] = position
        position = _after_word(text, position)
        names[line, 1] = position
        if names[line, 0] == position:
            return line
        first[line] = line == 0 or not _same(
            text, names[line, 0], names[line, 1], names[line - 1, 0], names[line - 1, 1]
        )
        position = _after_word(text, _after_spaces(text, position))
        for field in range(3):
            value, end = _take_number(text, _after_spaces(text, position), 0 if field == 2 else 6)
            if end < 0 or not (text[end] == SPACE or text[end] == TAB or (field == 2 and text[end] == NEWLINE)):
                return line
            numbers[field, line] = value
            position = end
        while text[position] != NEWLINE:
            position += 1
        position += 1
    return -1


def byte_set(characters: bytes) -> np.ndarray:
    """A table [256] that is true at the given bytes."""
    table = np.zeros(256, np.bool_)
    table[list(characters)] = True
    return table
