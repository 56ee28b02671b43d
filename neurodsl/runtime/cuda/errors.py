"""What the CUDA driver refuses, in its words and in ours."""

from __future__ import annotations

from neurodsl.version import REPORT_TO

INVALID_IMAGE, NO_BINARY_FOR_GPU, INVALID_PTX, UNSUPPORTED_PTX_VERSION = 200, 209, 218, 222
OF_ANOTHER_GPU = (INVALID_IMAGE, NO_BINARY_FOR_GPU, INVALID_PTX, UNSUPPORTED_PTX_VERSION)
"""Statuses that say: this image is not for this GPU or this driver; another may be."""

_REMEDIES = {
    1: f"this is a fault of neurodsl: please report it at {REPORT_TO}",
    2: "free memory on the GPU: smaller batches, torch.cuda.empty_cache(), or another device",
    3: "in a process that was forked, start workers with the method 'spawn' instead",
    100: "look whether nvidia-smi lists a GPU, and what CUDA_VISIBLE_DEVICES says",
    INVALID_IMAGE: "the image may be of a newer CUDA toolkit than the driver: update the driver",
    NO_BINARY_FOR_GPU: "compile with --build and the architecture of this GPU in --cuda-arch",
    UNSUPPORTED_PTX_VERSION: "the driver is older than the toolkit that made the PTX: update it, or "
    "compile with the architecture of this GPU in --cuda-arch",
    701: "the kernel wants more registers or shared memory than a block has here: this is a fault of "
    f"neurodsl, please report it at {REPORT_TO}",
    803: "the kernel module and the library of the driver are of two versions: restart the machine",
}
_BROKEN = (
    "an earlier kernel, of whichever library, has failed, and errors of kernels are told late; this process cannot use "
    "the GPU any more. Run it again with CUDA_LAUNCH_BLOCKING=1, or under compute-sanitizer, to see which one it was"
)
_CAPTURED = (
    "the stream is being captured into a CUDA graph: run the module once before the capture begins, forward and "
    "backward, with the dtype and on the device of the capture (torch.cuda.make_graphed_callables does)"
)


class CudaError(RuntimeError):
    """The CUDA driver refused a call, or there is none. `status` is the driver's number, 0 if it was not asked."""

    def __init__(self, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(message)


def remedy_for(status: int) -> str:
    """What to do about a status of the driver; empty if we do not know."""
    if status in (700, 702, 710, 714, 715, 716, 717, 718, 719):
        return _BROKEN
    if 900 <= status <= 908:
        return _CAPTURED
    return _REMEDIES.get(status, "")
