"""Where kernels for a GPU come from, and what is said if they cannot be had."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_cuda.conftest import Generate
from fake_cuda.faked import FakeCuda, on_gpu, plain

from neurodsl.build import BuildError, ToolchainError, cubin, fatbin, gpu_images, image_by_nvrtc
from neurodsl.build.gpu_images import images_of, nvrtc_flags, suitable
from neurodsl.build.nvrtc import Nvrtc, find_nvrtc
from neurodsl.driver import compile_text
from neurodsl.files import disk_loader
from neurodsl.library import find
from neurodsl.options import Options
from neurodsl.output import build_files, write_files
from neurodsl.runtime.arithmetic import evaluate, holds
from neurodsl.runtime.cuda import CudaError
from neurodsl.runtime.cuda.driver import driver
from neurodsl.runtime.cuda.loading import cubin_beside
from neurodsl.runtime.manifest import Manifest
from neurodsl.tools import doctor

KERNEL = 'extern "C" __global__ void twice(float* x) { x[threadIdx.x] *= 2.0f; }\n'


def nvrtc() -> Nvrtc:
    """A missing NVRTC fails here."""
    found = find_nvrtc()
    assert found is not None, "pip install nvidia-cuda-nvrtc"
    return found


def test_a_cubin_beside_the_module_is_taken(tmp_path: Path) -> None:
    manifest = Manifest(str(tmp_path / "lif.py"), "0")
    for name in ("lif.sm_80.cubin", "lif.sm_90.cubin"):
        (tmp_path / name).write_bytes(b"")
    found = [cubin_beside(manifest, capability) for capability in ((8, 9), (9, 0), (7, 5))]
    assert [path and path.name for path in found] == ["lif.sm_80.cubin", "lif.sm_90.cubin", None]


def test_sizes_are_worked_out_exactly() -> None:
    names = {"N": 2**40 + 1, "block": 128, "elements_per_thread": 4}
    assert evaluate("ceil(N / (block * elements_per_thread))", names) == 2**31 + 1
    assert evaluate("min(N, max(3, block)) - 1", names) == 127
    assert evaluate("N % 8", names) == 1
    for text in ("__import__('os')", "N / 2", "N ** 2", "C", "1 +", "(1).real", "N == 1"):
        with pytest.raises(ValueError):
            evaluate(text, names)


def test_conditions_on_sizes() -> None:
    names = {"T": 8, "N": 12}
    true = ("T == 8 and N % 4 == 0", "not (T > 8 or N != 12)", "1 <= T <= 8", "N >= T * 3 / 2")
    false = ("T == 8 and N % 8 == 0", "T < 8", "1 <= T < 8")
    assert all(holds(text, names) for text in true)
    assert not any(holds(text, names) for text in false)
    for text in ("T", "C == 1", "T in (1, 2)", "open('x') == 1"):
        with pytest.raises(ValueError):
            holds(text, names)


def test_the_next_image_is_tried_where_one_is_for_other_gpus(
    generate: Generate, fake: FakeCuda
) -> None:
    generated = generate("LIF")
    (generated.folder / "lif.fatbin").write_bytes(fake.image(generated.shim, capability=80))
    (generated.folder / "lif.sm_90.cubin").write_bytes(fake.image(generated.shim, capability=90))
    node = generated.module().LIF(backend="fused")
    node(on_gpu(torch.rand(4, 9)))
    assert len(fake.calls("cuModuleLoadDataEx")) == 2
    assert fake.kernels() == ["lif_forward_f32"]


@pytest.mark.parametrize("compiler", ["NVRTC", "nvcc"])
def test_without_a_file_beside_it_the_text_is_compiled_for_the_dtype(
    compiler: str, generate: Generate, fake: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated = generate("LIF")
    source = (generated.folder / "lif.cu").read_text()
    for name in ("f32", "f64"):
        only = [f"-DNEURODSL_ONLY={name}", "-DNEURODSL_PART=main"]
        flags = [*generated.manifest["flags"]["nvcc"], *only]
        if compiler == "NVRTC":
            image = image_by_nvrtc(nvrtc(), source, flags, "sm_90", stem="lif")
        else:
            monkeypatch.setenv("NEURODSL_NVRTC", "")
            image = cubin(source, flags, "sm_90", stem="lif")
        content = image.read_bytes()
        assert f"lif_backward_{name}".encode() in content
        assert b"lif_backward_detached" not in content
        assert b"lif_forward_bits" not in content
        fake.register(content, generated.shim, capability=90)
    node = generated.module().LIF(backend="fused")
    for dtype in (torch.float32, torch.float64):
        node.reset()
        x = torch.rand(4, 9, dtype=dtype) * 2
        expected = node(x)
        node.reset()
        assert torch.equal(plain(node(on_gpu(x))), expected)
    assert fake.kernels() == ["lif_forward_f32", "lif_forward_f64"]
    assert len(fake.calls("cuModuleLoadDataEx")) == 2


def test_no_image_and_no_compiler(
    generate: Generate, fake: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURODSL_NVRTC", "")
    monkeypatch.setattr("neurodsl.build.toolchain.find_nvcc", lambda: None)
    module = generate("LIF").module()
    with pytest.raises(ToolchainError) as caught:
        module.LIF(backend="fused")(on_gpu(torch.rand(4, 9)))
    text = str(caught.value)
    for words in (
        "there are no kernels of lif for cuda:0 (sm_90):",
        "NVRTC: not found",
        "nvcc: no nvcc found",
        "pip install nvidia-cuda-nvrtc",
    ):
        assert words in text
    with pytest.warns(UserWarning, match="runs the eager reference: there are no kernels of lif"):
        output = module.LIF()(on_gpu(torch.rand(4, 9)))
    assert output.shape == (4, 9)


def test_no_driver(generate: Generate, fake: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURODSL_CUDA_DRIVER", "/nowhere/libcuda.so.1")
    with pytest.raises(CudaError, match="the CUDA driver cannot be loaded") as caught:
        generate("LIF").module().LIF(backend="fused")(on_gpu(torch.rand(4, 9)))
    assert "install NVIDIA's driver" in str(caught.value)


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        ("cuInit", 100, ["cuInit: the CUDA driver says", "(100)", "nvidia-smi"]),
        ("cuDevicePrimaryCtxRetain", 2, ["CUDA_ERROR_OUT_OF_MEMORY (2): out of memory"]),
        ("cuModuleLoadDataEx", 2, ["lif.fatbin was not loaded", "free memory on the GPU"]),
        ("cuModuleGetFunction", 500, ["the kernel lif_", "named symbol not found"]),
        ("cuLaunchKernel", 700, ["CUDA_LAUNCH_BLOCKING=1", "an illegal memory access"]),
        ("cuLaunchKernel", 1, ["this is a fault of neurodsl", "invalid argument"]),
    ],
)
def test_errors_have_the_words_of_the_driver_and_ours(
    call: str, status: int, words: list[str], loaded: Callable[..., Any], fake: FakeCuda
) -> None:
    module = loaded("LIF")
    fake.fail(call, status)
    with pytest.raises(CudaError) as caught:
        module.LIF(backend="fused")(on_gpu(torch.rand(4, 900)))
    if call == "cuLaunchKernel":
        words = [
            *words,
            "the kernel lif_forward_f32 was not launched on cuda:0",
            "(grid 8, block 128, 0 bytes of shared memory)",
        ]
    assert caught.value.status == status
    for part in words:
        assert part in str(caught.value)


def test_the_log_of_a_refused_image_is_shown(generate: Generate, fake: FakeCuda) -> None:
    generated = generate("LIF")
    (generated.folder / "lif.fatbin").write_bytes(b"no image")
    generated.module()
    for suffix in (".cu",):
        (generated.folder / f"lif{suffix}").write_text("no CUDA")
    with pytest.raises(BuildError, match="NVRTC"):  # which comes next, and refuses the text
        generated.module().LIF(backend="fused")(on_gpu(torch.rand(4, 9)))
    assert len(fake.calls("cuModuleLoadDataEx")) == 1


def test_a_forked_process_is_told(fake: FakeCuda) -> None:
    started = driver()
    child = os.fork()
    if not child:
        try:
            started.call("cuInit", 0)
        except CudaError as error:
            os._exit(0 if "set_start_method('spawn')" in str(error) else 2)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def test_nvrtc_compiles_lif(generate: Generate) -> None:
    source = (generate("LIF").folder / "lif.cu").read_text()
    start = time.perf_counter()
    flags = ["--std=c++17", "--fmad=false", "-DNEURODSL_ONLY=f32"]
    content = nvrtc().compile(source, flags, "lif.cu", "sm_90")
    print(f"NVRTC, LIF in float32, sm_90: {time.perf_counter() - start:.2f} s")
    assert content[:4] == b"\x7fELF"
    assert int.from_bytes(content[18:20], "little") == 190  # CUDA
    for symbol in ("lif_forward_f32", "lif_backward_f32", "lif_reduce_f32"):
        assert symbol.encode() in content
    assert b"lif_forward_f64" not in content


def test_nvrtc_makes_ptx_for_gpus_that_it_does_not_know() -> None:
    known = (75, 80, 86, 90)
    cases = {(9, 0): "sm_90", (8, 9): "sm_86", (12, 0): "compute_90", (7, 0): None}
    assert {capability: suitable(capability, known) for capability in cases} == cases
    assert suitable((9, 0), ()) == "sm_90"
    text = nvrtc().compile(KERNEL, (), "twice.cu", "compute_90")
    assert b".target sm_90" in text
    assert text.endswith(b"\0")
    assert nvrtc_flags(["-fmad=false", "--use_fast_math", "-DA=1"]) == [
        "--fmad=false",
        "--use_fast_math",
        "-DA=1",
    ]


def test_a_fatbin_has_every_architecture_and_ptx_of_the_newest() -> None:
    content = fatbin(KERNEL, (), ["sm_80", "sm_90"], stem="twice").read_bytes()
    assert content[:4] == (0xBA55ED50).to_bytes(4, "little")
    assert len(content) > len(fatbin(KERNEL, (), ["sm_80"], stem="twice").read_bytes())
    with pytest.raises(ToolchainError, match="does not know sm_10; it knows"):
        images_of(KERNEL, (), ["sm_10", "sm_90"], stem="twice", exactly=True)
    assert set(images_of(KERNEL, (), ["sm_10", "sm_90"], stem="twice", exactly=False)) == {
        ".fatbin"
    }


def test_build_writes_what_gpus_load_and_takes_it_away_with_the_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def images(source: str, flags: Any, archs: Any, **given: Any) -> dict[str, Path]:
        asked.append((tuple(archs), given))
        return {".fatbin": fatbin(KERNEL, flags, archs, stem=given["stem"])}

    asked: list[Any] = []
    monkeypatch.setattr(gpu_images, "images_of", images)
    library = tmp_path / "cached.so"
    library.write_bytes(b"\x7fELF neurodsl_source")
    monkeypatch.setattr("neurodsl.build.portable_library", lambda *_, **__: library)
    name, text = find("LIF") or ("", "")
    folder = tmp_path / "built"
    made = compile_text(text, name, Options(), disk_loader)
    write_files(made, folder, force=False)
    for _ in range(2):  # what is there is ours
        paths = build_files(made, folder, Options(cuda_arch=("sm_80",)))
        assert [path.name for path in paths] == ["liblif.so", "lif.fatbin"]
    assert asked[0] == (("sm_80",), {"stem": "lif", "exactly": True})
    write_files(compile_text(text, name, Options(fp="fast"), disk_loader), folder, force=False)
    assert not (folder / "lif.fatbin").exists()
    (folder / "lif.fatbin").write_bytes(b"a file of somebody's")
    with pytest.raises(FileExistsError, match=r"lif\.fatbin"):
        build_files(made, folder, Options())
    assert not asked[-1][1]["exactly"]
    assert "sm_120" in asked[-1][0]


def test_without_nvcc_there_is_a_cubin_for_each_architecture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("neurodsl.build.toolchain.find_nvcc", lambda: None)
    made = images_of(KERNEL, (), ["sm_80", "sm_90"], stem="twice", exactly=True)
    assert set(made) == {".sm_80.cubin", ".sm_90.cubin"}
    assert all(path.read_bytes()[:4] == b"\x7fELF" for path in made.values())
    monkeypatch.setenv("NEURODSL_NVRTC", "")
    assert images_of(KERNEL, (), ["sm_80"], stem="twice", exactly=True) == {}


def test_doctor_names_nvrtc_and_the_driver(fake: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {finding.name: finding for finding in (doctor._nvrtc(), doctor._gpu())}
    assert found["NVRTC"].detail.startswith(nvrtc().version_text)
    assert "1 devices, but this PyTorch" in found["GPU"].detail
    assert found["GPU"].detail.endswith("driver for CUDA 13.0")
    monkeypatch.setenv("NEURODSL_NVRTC", "/nowhere/libnvrtc.so")
    assert "pip install nvidia-cuda-nvrtc" in doctor._nvrtc().remedy
