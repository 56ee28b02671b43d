"""A CUDA device for the bench: `torch.cuda` behind the protocol of `neurodsl.tools.bench.device`."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import torch

from neurodsl.build.errors import ToolchainError
from neurodsl.tools.bench.device import Call, CaptureError, Event

WARM_UP_CALLS = 3
"""On the stream of the capture, before it: what compiles, loads a module or makes a workspace does it then."""

_QUERIED = (
    "name",
    "driver_version",
    "clocks.sm",
    "clocks.mem",
    "clocks.max.sm",
    "clocks.max.mem",
    "power.limit",
    "temperature.gpu",
    "persistence_mode",
    "ecc.mode.current",
)
"""What `nvidia-smi` is asked."""


class CudaDevice:
    """One CUDA device, whose current stream everything is put on."""

    def __init__(self, device: torch.device, cuda: Any = torch.cuda) -> None:
        """`cuda` is `torch.cuda`, or in tests what records the calls; `device` is where tensors go."""
        self.torch_device = device
        self._cuda = cuda
        self._index = device.index or 0

    def facts(self) -> dict[str, Any]:
        """Of the device and of PyTorch's CUDA."""
        found = self._cuda.get_device_properties(self._index)
        return {
            "gpu": found.name,
            "capability": f"{found.major}.{found.minor}",
            "multiprocessors": found.multi_processor_count,
            "memory_bytes": found.total_memory,
            "l2_bytes": self.cache_bytes(),
            "devices": self._cuda.device_count(),
            "cuda": torch.version.cuda,
        }

    def clocks(self) -> dict[str, str]:
        """What `nvidia-smi` says of clocks, power and temperature; empty without it."""
        tool = shutil.which("nvidia-smi")
        if tool is None:
            return {}
        query = [
            f"--query-gpu={','.join(_QUERIED)}",
            "--format=csv,noheader",
            f"--id={self._uuid()}",
        ]
        try:
            done = subprocess.run(
                [tool, *query], capture_output=True, text=True, timeout=20, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return {}
        values = [value.strip() for value in done.stdout.strip().split(",")]
        return dict(zip(_QUERIED, values, strict=False))

    def cache_bytes(self) -> int:
        """Of L2."""
        return int(self._cuda.get_device_properties(self._index).L2_cache_size)

    def memory_bytes(self) -> int:
        """Free, as the driver has it, and what PyTorch holds without using it."""
        free, _ = self._cuda.mem_get_info(self._index)
        idle = self._cuda.memory_reserved(self._index) - self._cuda.memory_allocated(self._index)
        return int(free + idle)

    def event(self) -> Event:
        """A CUDA event that takes the time."""
        made: Event = self._cuda.Event(enable_timing=True)
        return made

    def synchronize(self) -> None:
        """Wait for all streams of the device."""
        self._cuda.synchronize(self._index)

    def graph(self, call: Call) -> Call:
        """Warm up on a stream beside the current one, then capture there.

        Raises:
            CaptureError: the call cannot be captured.
        """
        cuda = self._cuda
        side = cuda.Stream(self._index)
        side.wait_stream(cuda.current_stream(self._index))
        with cuda.stream(side):
            for _ in range(WARM_UP_CALLS):
                call()
        cuda.current_stream(self._index).wait_stream(side)
        self.synchronize()
        graph = cuda.CUDAGraph()
        try:
            with cuda.graph(graph, stream=side):
                call()
        except RuntimeError as problem:
            self.synchronize()
            raise CaptureError(str(problem).strip().splitlines()[0]) from problem
        replay: Call = graph.replay
        return replay

    def peak_bytes(self, call: Call) -> int:
        """By PyTorch's allocator; the call is made once before, for workspaces that stay."""
        call()
        self.synchronize()
        before = self._cuda.memory_allocated(self._index)
        self._cuda.reset_peak_memory_stats(self._index)
        call()
        self.synchronize()
        return int(self._cuda.max_memory_allocated(self._index) - before)

    def release(self) -> None:
        """Empty the allocator's cache."""
        self.synchronize()
        self._cuda.empty_cache()

    def _uuid(self) -> str:
        """How `nvidia-smi` names this device, whatever CUDA_VISIBLE_DEVICES hides."""
        uuid = str(getattr(self._cuda.get_device_properties(self._index), "uuid", ""))
        if not uuid:
            return str(self._index)
        return uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"


def cuda_device(text: str, cuda: Any = torch.cuda) -> CudaDevice:
    """The device that `--device cuda` or `cuda:1` means, made PyTorch's current one.

    Raises:
        ToolchainError: there is no such device; the text says what to do next.
    """
    device = torch.device(text)
    if not cuda.is_available():
        raise ToolchainError(*_without_device(cuda))
    there = cuda.device_count()
    if (device.index or 0) >= there:
        only = "only cuda:0" if there == 1 else f"only cuda:0 to cuda:{there - 1}"
        raise ToolchainError(f"there is no {text}, {only}", "neurodsl bench --device cuda")
    cuda.set_device(device.index or 0)
    return CudaDevice(torch.device("cuda", device.index or 0), cuda)


def _without_device(cuda: Any) -> tuple[str, str]:
    """Why there is none, and what to type."""
    if torch.version.cuda is None:
        what = f"no CUDA device: PyTorch {torch.__version__} was built without CUDA"
        if shutil.which("nvidia-smi") is None:
            what += ", and nvidia-smi is not here either"
        return what, (
            "on a machine with an NVIDIA GPU, pip install a CUDA build of torch; "
            "here, `neurodsl bench` measures the CPU"
        )
    if shutil.which("nvidia-smi") is None:
        return (
            "no CUDA device: PyTorch finds none, and nvidia-smi is not here",
            "install NVIDIA's driver; `neurodsl doctor` shows what is found; `neurodsl bench` measures the CPU",
        )
    return "no CUDA device: PyTorch finds none although nvidia-smi is here", (
        "nvidia-smi; python -c 'import torch; torch.cuda.init()'"
    )
