"""A GPU through the CUDA driver: memory, the compiled kernel, its launch."""

from __future__ import annotations

import ctypes

import numpy as np

from speechvq.engine.cuda_build import architecture, cached_cubin
from speechvq.engine.cuda_layout import Layout, Run
from speechvq.engine.cuda_plan import Device
from speechvq.errors import BackendUnavailable

OLDEST = (8, 0)
PORTABLE_CLUSTER = 8
DATA_CENTRE = (9, 10)  # the generations whose clusters reach 16 blocks


class CudaBuffer:
    """Memory of the GPU, given back when nobody holds it any more."""

    def __init__(self, driver: CudaDriver, nbytes: int):
        self._driver, self.nbytes = driver, nbytes
        try:
            self._pointer = driver.call("cuMemAlloc", max(nbytes, 1))
        except BackendUnavailable as error:
            raise BackendUnavailable(f"the GPU has no room for {nbytes} more bytes, decode fewer streams at once ({error})") from error
        self.address = int(self._pointer)

    def read(self, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """Copy its beginning to the host."""
        host = np.empty(shape, dtype)
        self._driver.call("cuMemcpyDtoH", host.ctypes.data, self._pointer, host.nbytes)
        return host

    def __del__(self):
        if hasattr(self, "_pointer"):
            self._driver.free(self._pointer)


class CudaDriver:
    """The first visible GPU, in the context that torch uses too.

    Raises:
        BackendUnavailable: no bindings, no driver, no GPU, or one that is too old.
    """

    def __init__(self):
        try:
            from cuda.bindings import driver
        except ImportError as error:
            raise BackendUnavailable(
                "cuda-bindings is not installed: pip install cuda-bindings nvidia-cuda-nvrtc, which the CUDA build of torch brings"
            ) from error
        self._api = driver
        try:
            self.call("cuInit", 0)
        except RuntimeError as error:  # raised by the bindings when libcuda.so.1 is missing
            raise BackendUnavailable(f"no NVIDIA driver is installed ({error})") from error
        if not self.call("cuDeviceGetCount"):
            raise BackendUnavailable("the NVIDIA driver sees no GPU: look at CUDA_VISIBLE_DEVICES and nvidia-smi")
        ordinal = self.call("cuDeviceGet", 0)
        self.device = self._describe(ordinal)
        if self.device.compute_capability < OLDEST:
            major, minor = self.device.compute_capability
            raise BackendUnavailable(f"this GPU has compute capability {major}.{minor}, the decoder needs 8.0 (Ampere) or later")
        self._context = self.call("cuDevicePrimaryCtxRetain", ordinal)

    def _describe(self, ordinal) -> Device:
        attribute = self._api.CUdevice_attribute

        def read(name: str) -> int:
            return self.call("cuDeviceGetAttribute", getattr(attribute, f"CU_DEVICE_ATTRIBUTE_{name}"), ordinal)

        major = read("COMPUTE_CAPABILITY_MAJOR")
        return Device(
            compute_capability=(major, read("COMPUTE_CAPABILITY_MINOR")),
            shared_bytes=read("MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"),
            multiprocessors=read("MULTIPROCESSOR_COUNT"),
            largest_cluster=1 if major < 9 else 16 if major in DATA_CENTRE else PORTABLE_CLUSTER,
        )

    def call(self, name: str, *arguments):
        """A function of the driver; its result once the status says success."""
        status, *values = getattr(self._api, name)(*arguments)
        if int(status):
            said = self._api.cuGetErrorString(status)[1]
            raise BackendUnavailable(f"{name} failed: {said.decode() if said else status}")
        return values[0] if len(values) == 1 else values

    def free(self, pointer) -> None:
        self._api.cuCtxSetCurrent(self._context)
        self._api.cuMemFree(pointer)

    def load(self, layout: Layout):
        """The kernel's function, compiled if need be, with leave to use its shared memory and cluster."""
        self.call("cuCtxSetCurrent", self._context)
        module = self.call("cuModuleLoadData", cached_cubin(layout, architecture(self.device.compute_capability)))
        kernel = self.call("cuModuleGetFunction", module, b"wavenet")
        attribute = self._api.CUfunction_attribute
        self.call("cuFuncSetAttribute", kernel, attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, layout.shared_bytes)
        if layout.blocks > PORTABLE_CLUSTER:
            self.call("cuFuncSetAttribute", kernel, attribute.CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1)
        return kernel

    def zeros(self, nbytes: int) -> CudaBuffer:
        """Device memory set to zero."""
        self.call("cuCtxSetCurrent", self._context)
        buffer = CudaBuffer(self, nbytes)
        self.call("cuMemsetD8", buffer._pointer, 0, max(nbytes, 1))
        return buffer

    def buffer(self, contents: np.ndarray) -> CudaBuffer:
        """Device memory with a copy of an array."""
        self.call("cuCtxSetCurrent", self._context)
        contents = np.ascontiguousarray(contents)
        buffer = CudaBuffer(self, contents.nbytes)
        if contents.nbytes:
            self.call("cuMemcpyHtoD", buffer._pointer, contents.ctypes.data, contents.nbytes)
        return buffer

    def launch(self, kernel, layout: Layout, run: Run) -> None:
        """Run the kernel for all streams, and wait for it."""
        self.call("cuCtxSetCurrent", self._context)
        clusters = -(-run.streams // layout.streams)
        arguments = (ctypes.c_void_p * 1)(ctypes.addressof(run))
        self.call(
            "cuLaunchKernel", kernel, clusters * layout.blocks, 1, 1, layout.threads, 1, 1, layout.shared_bytes, 0,
            ctypes.addressof(arguments), 0,
        )  # fmt: skip
        self.call("cuCtxSynchronize")
