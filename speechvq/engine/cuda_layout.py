"""How the decoder is dealt out over a GPU: sizes, shared memory, and the order of the weights that the kernel expects.

Mirrors layout.h and product.h; the kernel asserts that both agree on the size of shared memory.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from speechvq.engine.weights import DecoderWeights

LANES = 8  # neighbours that share a pair of rows in product.h
TILE = 8  # pairs of rows, or streams, of one tensor core product
SKEW = 8
EXCHANGES = 5


class Run(ctypes.Structure):
    """The kernel's argument; see `Run` in layout.h."""

    _fields_ = [
        *[
            (name, ctypes.c_void_p)
            for name in ("weights", "embedding", "conditioning", "rings", "seeds", "previous", "given", "audio", "logits", "taps")
        ],
        *[(name, ctypes.c_uint32) for name in ("streams", "samples", "time", "first_frame")],
        *[(name, ctypes.c_float) for name in ("sharpness", "top_p")],
    ]


def round_up(n: int, unit: int) -> int:
    """The least multiple of unit that is at least n."""
    return -(-n // unit) * unit


@dataclass(frozen=True)
class Product:
    """One block's share of a matrix: `rows` of it (two to a pair) by `columns`."""

    rows: int
    columns: int
    half: bool
    tensor: bool

    @property
    def pairs(self) -> int:
        return self.rows // 2

    @property
    def span(self) -> int:
        """Columns that are multiplied at once."""
        return 16 if self.tensor else LANES * (8 if self.half else 4)

    @property
    def padded(self) -> int:
        return round_up(self.columns, self.span)

    @property
    def width(self) -> int:
        """Elements of an activation vector, so that streams fall on different banks."""
        return self.padded + (SKEW if self.tensor else 0)

    @property
    def num_bytes(self) -> int:
        return self.rows * self.padded * (2 if self.half else 4)

    def pack(self, matrices: np.ndarray) -> np.ndarray:
        """Order weights as the lanes load them.

        Args:
            matrices: [..., rows, columns], rows 2i and 2i + 1 of a pair beside each other.

        Returns:
            [..., num_bytes] uint8.
        """
        lead = matrices.shape[:-2]
        full = np.zeros((*lead, self.rows, self.padded), np.float16 if self.half else np.float32)
        full[..., : matrices.shape[-1]] = matrices
        n, steps = len(lead), self.padded // self.span
        if self.tensor:  # tile, pair in tile, row of pair, step, half of step, lane % 4, neighbour
            axes, order = (self.pairs // TILE, TILE, 2, steps, 2, 4, 2), (0, 3, 1, 5, 4, 2, 6)
        else:  # pair, row of pair, step, group of four, lane, column
            axes, order = (self.pairs, 2, steps, self.span // LANES // 4, LANES, 4), (2, 1, 0, 4, 3, 5)
        packed = full.reshape(*lead, *axes).transpose(*range(n), *(n + axis for axis in order))
        return np.ascontiguousarray(packed).reshape(*lead, -1).view(np.uint8)


@dataclass(frozen=True)
class Layout:
    """Everything the kernel is compiled for.

    Args:
        layers, residual, skip, classes, past_taps, hop_length, dilations: the decoder's own sizes.
        blocks: of a cluster, 1 for none.
        threads: of a block.
        streams: that a cluster decodes together.
        half: float16 weights.
        tensor: tensor cores; one block, float16, streams by eights.
        folded: one exchange a layer.
        resident: which weights are in shared memory, the others in L2: 0 none, 1 the core, 2 the folded too, 3 all.
    """

    layers: int
    residual: int
    skip: int
    classes: int
    past_taps: int
    hop_length: int
    dilations: tuple[int, ...]
    blocks: int
    threads: int = 256
    streams: int = 1
    half: bool = False
    tensor: bool = False
    folded: bool = False
    resident: int = 3

    @classmethod
    def of(cls, weights: DecoderWeights, **choices) -> Layout:
        """The layout of a decoder with the given choices."""
        return cls(
            weights.num_layers, weights.residual_channels, weights.skip_channels, weights.num_classes,
            weights.kernel_size - 1, weights.hop_length, tuple(int(d) for d in weights.dilations), **choices,
        )  # fmt: skip

    def _rows(self, n: int) -> int:
        return round_up(n, 2 * TILE if self.tensor else max(2 * self.blocks, 4))

    @property
    def padded_residual(self) -> int:
        return self._rows(self.residual)

    @property
    def padded_skip(self) -> int:
        return self._rows(self.skip)

    @property
    def padded_classes(self) -> int:
        return round_up(self.classes, max(2 * self.blocks, 32))

    def product(self, rows: int, columns: int) -> Product:
        return Product(rows // self.blocks, columns, self.half, self.tensor)

    @property
    def past(self) -> Product:
        return self.product(2 * self.padded_residual, self.padded_residual)

    @property
    def residual_product(self) -> Product:
        return self.product(self.padded_residual, self.padded_residual)

    @property
    def skip_product(self) -> Product:
        return self.product(self.padded_skip, self.padded_residual)

    @property
    def hidden(self) -> Product:
        return self.product(self.padded_skip, self.padded_skip)

    @property
    def output(self) -> Product:
        return self.product(self.padded_classes, self.padded_skip)

    @property
    def ring_slots(self) -> int:
        return self.past_taps * sum(self.dilations)

    @property
    def weight_bytes(self) -> tuple[int, int, int]:
        """A block's core with its biases, its folded weights, and those beside the path."""
        residuals = max(self.layers - 1, 1)
        biases = (residuals * self.residual_product.rows, self.skip_product.rows, self.hidden.rows, self.output.rows)
        core = self.layers * self.past.num_bytes + residuals * self.residual_product.num_bytes
        core += self.hidden.num_bytes + self.output.num_bytes + sum(round_up(4 * rows, 16) for rows in biases)
        far = self.layers * (self.past_taps * self.past.num_bytes + self.skip_product.num_bytes)
        return core, residuals * self.past.num_bytes if self.folded else 0, far

    @property
    def shared_bytes(self) -> int:
        """Shared memory of a block."""

        def vector(product: Product) -> int:
            return round_up(self.streams * product.width * (2 if self.tensor else 4), 16)

        total = sum(self.weight_bytes[: self.resident])
        total += (4 if self.folded else 2) * (vector(self.past) + vector(self.residual_product))
        total += vector(self.hidden) + vector(self.output)
        total += 2 * 4 * self.streams * self.padded_classes + round_up(4 * self.streams, 8)
        return round_up(total + (8 * EXCHANGES if self.blocks > 1 else 0), 16)

    @property
    def tap_sizes(self) -> dict[str, tuple[int, int]]:
        """Where each tap lies in a stream's taps: offset and size, padded."""
        sizes = {
            "gated": self.layers * self.padded_residual, "residual": self.layers * self.padded_residual,
            "skip": self.padded_skip, "hidden": self.padded_skip, "logits": self.padded_classes,
        }  # fmt: skip
        ends = np.cumsum(list(sizes.values()))
        return {name: (int(end) - size, size) for (name, size), end in zip(sizes.items(), ends, strict=True)}

    @property
    def taps_size(self) -> int:
        """Floats of a stream's taps."""
        return sum(size for _, size in self.tap_sizes.values())

    @property
    def macros(self) -> dict[str, str]:
        """What wavenet.cu is compiled with."""
        lengths = [self.past_taps * dilation for dilation in self.dilations]
        values = dict(
            LAYERS=self.layers, RESIDUAL=self.padded_residual, SKIP=self.padded_skip, LOGITS=self.padded_classes,
            CLASSES=self.classes, TAPS=self.past_taps, HOP=self.hop_length, BLOCKS=self.blocks, THREADS=self.threads,
            STREAMS=self.streams, HALF=int(self.half), TENSOR=int(self.tensor), FOLDED=int(self.folded),
            RESIDENT=self.resident, RING_SLOTS=self.ring_slots, SHARED_BYTES=self.shared_bytes,
            DILATIONS=",".join(map(str, self.dilations)),
            RING_STARTS=",".join(map(str, np.cumsum([0, *lengths[:-1]]))),
        )  # fmt: skip
        return {name: str(value) for name, value in values.items()}

    def _in_pairs(self, gate_rows: np.ndarray) -> np.ndarray:
        """Gate rows [..., 2R, n] padded and ordered filter 0, gate 0, filter 1, ..., dealt to the blocks [..., C, rows, n]."""
        *lead, rows, columns = gate_rows.shape
        paired = np.moveaxis(gate_rows.reshape(*lead, 2, rows // 2, columns), -3, -2)
        return self._dealt(paired.reshape(*lead, rows, columns), 2 * self.padded_residual)

    def _dealt(self, rows: np.ndarray, padded: int) -> np.ndarray:
        """Rows [..., n, columns] padded and dealt to the blocks [..., C, padded / C, columns]."""
        *lead, n, columns = rows.shape
        full = np.zeros((*lead, padded, columns), rows.dtype)
        full[..., :n, :] = rows
        return full.reshape(*lead, self.blocks, padded // self.blocks, columns)

    def pack_conditioning(self, conditioning: np.ndarray, weights: DecoderWeights) -> np.ndarray:
        """Frames first, rows as the gates are packed.

        Args:
            conditioning: float32 [B, L, 2R, n].
            weights: whose residual biases a folded gate still needs.

        Returns:
            float32 [n, B, L, 2 padded R].
        """
        if self.folded:
            conditioning = conditioning + folded_bias(weights)[:, :, None]
        dealt = self._in_pairs(np.asarray(conditioning, np.float32))
        return np.ascontiguousarray(np.moveaxis(dealt.reshape(*dealt.shape[:2], 2 * self.padded_residual, dealt.shape[-1]), -1, 0))

    def pack_weights(self, weights: DecoderWeights) -> np.ndarray:
        """The weights of all blocks, as `Weights[BLOCKS]` of layout.h, uint8."""
        R, S, A = self.padded_residual, self.padded_skip, self.padded_classes
        residual, residual_bias = weights.residual, weights.residual_bias
        if self.layers == 1:
            residual, residual_bias = np.zeros((1, self.residual, self.residual)), np.zeros((1, self.residual))
        folded = [self.past.pack(self._in_pairs(folded_gate(weights)))] if self.folded else []
        past = weights.gate[:, -2::-1]  # tap k is due k + 1 dilations on
        parts = [
            self.past.pack(self._in_pairs(weights.gate[:, -1])),
            self.residual_product.pack(self._dealt(residual, R)),
            self.hidden.pack(self._dealt(weights.hidden, S)),
            self.output.pack(self._dealt(weights.output, A)),
            self._bias(residual_bias, R),
            self._bias(weights.skip_bias, S),
            self._bias(weights.hidden_bias, S),
            self._bias(weights.output_bias, A),
            *folded,
            self.past.pack(self._in_pairs(past)),
            self.skip_product.pack(self._dealt(weights.skip, S)),
        ]
        # [..., blocks, bytes] -> [blocks, all bytes]
        return np.concatenate([_block_first(part) for part in parts], axis=1).reshape(-1)

    def _bias(self, bias: np.ndarray, padded: int) -> np.ndarray:
        dealt = self._dealt(bias[..., None].astype(np.float32), padded)[..., 0]
        return np.ascontiguousarray(dealt).view(np.uint8)

    def pack_embedding(self, weights: DecoderWeights) -> np.ndarray:
        """float32 [A, padded R]."""
        full = np.zeros((self.classes, self.padded_residual), np.float32)
        full[:, : self.residual] = weights.embedding
        return full


def _block_first(part: np.ndarray) -> np.ndarray:
    """[..., C, bytes] -> [C, bytes of all], each array padded to 16 bytes as the compiler does."""
    blocks = part.shape[-2]
    rows = np.moveaxis(part, -2, 0).reshape(blocks, -1)
    return np.pad(rows, ((0, 0), (0, round_up(rows.shape[1], 16) - rows.shape[1])))


def folded_gate(weights: DecoderWeights) -> np.ndarray:
    """What each residual adds to the gate of the next layer: now[l + 1] residual[l], float32 [max(L - 1, 1), 2R, R]."""
    if weights.num_layers == 1:
        return np.zeros_like(weights.gate[:, -1])
    return (weights.gate[1:, -1].astype(np.float64) @ weights.residual.astype(np.float64)).astype(np.float32)


def folded_bias(weights: DecoderWeights) -> np.ndarray:
    """What the residual bias of the layer before adds to a gate: float32 [L, 2R]."""
    folded = np.zeros((weights.num_layers, 2 * weights.residual_channels), np.float32)
    products = weights.gate[1:, -1].astype(np.float64) @ weights.residual_bias.astype(np.float64)[..., None]
    folded[1:] = products[..., 0]
    return folded
