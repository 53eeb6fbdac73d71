"""Which layout of the kernel suits a decoder, a number of streams and a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from speechvq.engine.cuda_layout import Layout
from speechvq.engine.weights import DecoderWeights
from speechvq.errors import BackendUnavailable

CLUSTER_SIZES = (16, 8)  # 8 is the portable limit, 16 needs leave from the driver
STREAMS_OF_A_CLUSTER = (1, 2, 4)
STREAMS_OF_A_BLOCK = (1, 2, 4)
STREAMS_OF_A_TENSOR_BLOCK = (8, 16, 32)


@dataclass(frozen=True)
class Device:
    """What a plan needs to know of a GPU.

    Args:
        compute_capability: such as (9, 0).
        shared_bytes: shared memory that one block may have.
        multiprocessors: their number.
        largest_cluster: blocks of the largest cluster it runs, 1 for none.
    """

    compute_capability: tuple[int, int]
    shared_bytes: int
    multiprocessors: int
    largest_cluster: int = 16


def choose_layout(weights: DecoderWeights, precision: str, batch: int, device: Device) -> Layout:
    """The layout that should be fastest.

    Few streams get a cluster each, with as much of the weights on chip as fits; more share clusters; many get one
    multiprocessor for every group of them, where each weight that comes from L2 serves the whole group. The order
    follows from counting exchanges and bytes; it has not been measured on a device yet.

    A stream has the same samples in a batch of any size. For plain lanes sum in one order whatever the blocks and
    streams, as long as folding stays the same, so a device either folds always or never. Tensor cores sum in an order
    of their own, so they are a precision by themselves and have every batch to themselves.

    Args:
        weights: the decoder's.
        precision: `float32`, `float16` or `tensor16`.
        batch: the number of streams.
        device: the GPU.

    Raises:
        BackendUnavailable: no layout fits into the shared memory of a block.
    """
    smallest = 0
    for layout in _candidates(weights, precision, batch, device):
        if layout.shared_bytes <= device.shared_bytes:
            return layout
        smallest = min(smallest or layout.shared_bytes, layout.shared_bytes)
    raise BackendUnavailable(
        f"a decoder of {weights.residual_channels} residual and {weights.skip_channels} skip channels and "
        f"{weights.num_classes} classes needs {smallest} bytes of shared memory for a block, this GPU has {device.shared_bytes}"
    )


def _candidates(weights: DecoderWeights, precision: str, batch: int, device: Device) -> Iterator[Layout]:
    if precision == "tensor16":
        for streams in _from(STREAMS_OF_A_TENSOR_BLOCK, _share(batch, device.multiprocessors, STREAMS_OF_A_TENSOR_BLOCK)):
            yield Layout.of(weights, blocks=1, streams=streams, half=True, tensor=True, resident=0)
        return
    folded, half = device.largest_cluster > 1, precision == "float16"
    for blocks in CLUSTER_SIZES:
        clusters = device.multiprocessors // blocks
        if blocks > device.largest_cluster or batch > clusters * STREAMS_OF_A_CLUSTER[-1]:
            continue
        streams = _share(batch, clusters, STREAMS_OF_A_CLUSTER)
        for resident in (3, 2, 1, 0):
            yield Layout.of(weights, blocks=blocks, streams=streams, half=half, folded=folded, resident=resident)
    for streams in _from(STREAMS_OF_A_BLOCK, _share(batch, device.multiprocessors, STREAMS_OF_A_BLOCK)):
        for resident in (3, 1, 0) if streams == 1 else (0,):
            yield Layout.of(weights, blocks=1, streams=streams, half=half, folded=folded, resident=resident)


def _share(batch: int, groups: int, sizes: tuple[int, ...]) -> int:
    """The least size with which the groups hold the batch, else the largest."""
    return next((size for size in sizes if size * groups >= batch), sizes[-1])


def _from(sizes: tuple[int, ...], largest: int) -> list[int]:
    """The sizes up to the largest, largest first."""
    return [size for size in reversed(sizes) if size <= largest]

