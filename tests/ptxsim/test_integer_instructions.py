"""Integer instructions one by one, against Python's integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ptxsim.formats import NUMPY, Array
from ptxsim.small_kernels import run

N = 192


def integers(kind: str, seed: int) -> Array:
    """Random numbers of all sizes, and the ends of the range."""
    dtype = np.dtype(NUMPY[kind])
    info, generator = np.iinfo(dtype), np.random.default_rng(seed)
    bits = generator.integers(0, info.bits, N, dtype=np.uint64)
    values = generator.integers(info.min, info.max, N, dtype=dtype, endpoint=True) >> bits.astype(
        dtype
    )
    edges = [info.min, info.max, 0, 1, info.max - 1, info.min // 2]
    values[: len(edges)] = generator.permutation(np.array(edges, dtype))
    return values


def wrapped(value: int, kind: str) -> int:
    bits = int(kind[1:])
    value &= (1 << bits) - 1
    return value - (1 << bits) if kind[0] == "s" and value >> (bits - 1) else value


def unsigned(value: int, bits: int) -> int:
    return value & ((1 << bits) - 1)


def divide(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def check(
    body: str, result: str, reference: Callable[..., int], operands: dict[str, Array]
) -> None:
    got = run(body, result, **operands)
    rows = zip(*(array.tolist() for array in operands.values()), strict=True)
    for row, value in zip(rows, got.tolist(), strict=True):
        assert value == wrapped(reference(*row), result), (body, row)


ALL = ("u16", "s16", "u32", "s32", "u64", "s64")
BINARY: list[tuple[str, Callable[[int, int], int], tuple[str, ...]]] = [
    ("add.{k} %d, %a, %b;", lambda a, b: a + b, ALL),
    ("sub.{k} %d, %a, %b;", lambda a, b: a - b, ALL),
    ("mul.lo.{k} %d, %a, %b;", lambda a, b: a * b, ALL),
    ("min.{k} %d, %a, %b;", min, ALL),
    ("max.{k} %d, %a, %b;", max, ALL),
    ("div.{k} %d, %a, %b;", divide, ALL),
    ("rem.{k} %d, %a, %b;", lambda a, b: a - b * divide(a, b), ALL),
    ("and.b{n} %d, %a, %b;", lambda a, b: a & b, ("u32", "u64")),
    ("or.b{n} %d, %a, %b;", lambda a, b: a | b, ("u32", "u64")),
    ("xor.b{n} %d, %a, %b;", lambda a, b: a ^ b, ("u32", "u64")),
]


@pytest.mark.parametrize("kind", ALL)
def test_binary(kind: str) -> None:
    a, b = integers(kind, 1), integers(kind, 2)
    b[b == 0] = 3
    for body, reference, kinds in BINARY:
        if kind in kinds:
            text = body.format(k=kind, n=kind[1:])
            check(text, kind, reference, {f"{kind}_a": a, f"{kind}_b": b})


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "s64"])
def test_high_product(kind: str) -> None:
    a, b, c = (integers(kind, seed) for seed in (3, 4, 5))
    bits = int(kind[1:])
    operands = {f"{kind}_a": a, f"{kind}_b": b}
    check(f"mul.hi.{kind} %d, %a, %b;", kind, lambda a, b: a * b >> bits, operands)
    operands[f"{kind}_c"] = c
    check(f"mad.hi.{kind} %d, %a, %b, %c;", kind, lambda a, b, c: (a * b >> bits) + c, operands)
    check(f"mad.lo.{kind} %d, %a, %b, %c;", kind, lambda a, b, c: a * b + c, operands)


@pytest.mark.parametrize(
    ("kind", "wide"), [("u16", "u32"), ("s16", "s32"), ("u32", "u64"), ("s32", "s64")]
)
def test_wide_product(kind: str, wide: str) -> None:
    a, b, c = integers(kind, 3), integers(kind, 4), integers(wide, 5)
    operands = {f"{kind}_a": a, f"{kind}_b": b}
    check(f"mul.wide.{kind} %d, %a, %b;", wide, lambda a, b: a * b, operands)
    check(f"mul.wide.{kind} %d, %a, 12;", wide, lambda a: a * 12, {kind: a})
    operands[f"{wide}_c"] = c
    check(f"mad.wide.{kind} %d, %a, %b, %c;", wide, lambda a, b, c: a * b + c, operands)


def test_carries() -> None:
    """A sum, a difference and a product of 64-bit numbers in halves."""
    a, b, c = integers("u64", 6), integers("u64", 7), integers("u64", 8)
    halves = ".reg .b32 %h<9>;\nmov.b64 {%h0, %h1}, %a;\nmov.b64 {%h2, %h3}, %b;\n"
    joined = "\nmov.b64 %d, {%h4, %h5};"
    added = "add.cc.u32 %h4, %h0, %h2;\naddc.u32 %h5, %h1, %h3;"
    check(halves + added + joined, "u64", lambda a, b: a + b, {"u64_a": a, "u64_b": b})
    taken = "sub.cc.u32 %h4, %h0, %h2;\nsubc.u32 %h5, %h1, %h3;"
    check(halves + taken + joined, "u64", lambda a, b: a - b, {"u64_a": a, "u64_b": b})
    third = "mov.b64 {%h6, %h7}, %c;\n"
    product = (
        "mad.lo.cc.u32 %h4, %h0, %h2, %h6;\nmadc.hi.u32 %h5, %h0, %h2, %h7;\n"
        "mad.lo.u32 %h5, %h0, %h3, %h5;\nmad.lo.u32 %h5, %h1, %h2, %h5;"
    )
    operands = {"u64_a": a, "u64_b": b, "u64_c": c}
    check(halves + third + product + joined, "u64", lambda a, b, c: a * b + c, operands)


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "s64"])
def test_shifts(kind: str) -> None:
    bits, a = int(kind[1:]), integers(kind, 8)
    n = np.random.default_rng(9).integers(0, bits + 8, N).astype("u4")
    operands = {kind: a, "u32_n": n}
    check(f"shl.b{bits} %d, %a, %b;", kind, lambda a, n: a << n if n < bits else 0, operands)
    check(f"shr.{kind} %d, %a, %b;", kind, lambda a, n: a >> n, operands)
    check(f"shl.b{bits} %d, %a, 3;", kind, lambda a: a << 3, {kind: a})
    check(f"shr.{kind} %d, %a, 3;", kind, lambda a: a >> 3, {kind: a})


@pytest.mark.parametrize("mode", ["wrap", "clamp"])
def test_funnel_shifts(mode: str) -> None:
    operands = {"u32_a": integers("u32", 1), "u32_b": integers("u32", 2)}
    operands["u32_n"] = np.random.default_rng(9).integers(0, 40, N).astype("u4")

    def amount(n: int) -> int:
        return n & 31 if mode == "wrap" else min(n, 32)

    def left(a: int, b: int, n: int) -> int:
        return (b << 32 | a) << amount(n) >> 32

    def right(a: int, b: int, n: int) -> int:
        return (b << 32 | a) >> amount(n)

    check(f"shf.l.{mode}.b32 %d, %a, %b, %c;", "u32", left, operands)
    check(f"shf.r.{mode}.b32 %d, %a, %b, %c;", "u32", right, operands)


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "s64"])
def test_bit_fields(kind: str) -> None:
    bits, generator = int(kind[1:]), np.random.default_rng(10)
    a, b = integers(kind, 11), integers(kind, 12)
    position = generator.integers(0, bits + 4, N).astype("u4")
    length = generator.integers(0, bits + 4, N).astype("u4")

    def extract(a: int, p: int, n: int) -> int:
        sign = 0 if kind[0] == "u" or n == 0 else unsigned(a, bits) >> min(p + n - 1, bits - 1) & 1
        digits = [
            unsigned(a, bits) >> p + i & 1 if i < n and p + i < bits else sign for i in range(bits)
        ]
        return sum(digit << i for i, digit in enumerate(digits))

    def insert(a: int, b: int, p: int, n: int) -> int:
        mask = unsigned(((1 << n) - 1) << p, bits)
        return (a << p) & mask | unsigned(b, bits) & ~mask

    fields = {"u32_p": position, "u32_n": length}
    check(f"bfe.{kind} %d, %a, %b, %c;", kind, extract, {f"{kind}_a": a, **fields})
    both = {f"{kind}_a": a, f"{kind}_b": b}
    check(f"bfi.b{bits} %d, %a, %b, %c, %e;", kind, insert, both | fields)


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "s64"])
def test_counts(kind: str) -> None:
    bits, a = int(kind[1:]), integers(kind, 13)

    def highest(a: int) -> int:
        return (a if a >= 0 else ~a).bit_length() - 1

    check(f"popc.b{bits} %d, %a;", "u32", lambda a: unsigned(a, bits).bit_count(), {kind: a})
    check(f"clz.b{bits} %d, %a;", "u32", lambda a: bits - unsigned(a, bits).bit_length(), {kind: a})
    check(f"bfind.{kind} %d, %a;", "u32", highest, {kind: a})
    shift = f"bfind.shiftamt.{kind} %d, %a;"
    check(shift, "u32", lambda a: bits - 1 - highest(a) if highest(a) >= 0 else -1, {kind: a})
    reverse = f"brev.b{bits} %d, %a;"
    check(reverse, kind, lambda a: int(f"{unsigned(a, bits):0{bits}b}"[::-1], 2), {kind: a})


def test_permute() -> None:
    operands = {
        f"u32_{name}": integers("u32", seed) for name, seed in (("a", 14), ("b", 15), ("c", 16))
    }

    def permute(a: int, b: int, selector: int) -> int:
        octets = (b << 32 | a).to_bytes(8, "little")
        out = 0
        for i in range(4):
            nibble = selector >> 4 * i & 15
            octet = octets[nibble & 7]
            out |= (octet if nibble < 8 else 255 * (octet >> 7)) << 8 * i
        return out

    check("prmt.b32 %d, %a, %b, %c;", "u32", permute, operands)
    check("prmt.b32 %d, %a, %b, 0x5410;", "u32", lambda a, b, c: permute(a, b, 0x5410), operands)


@pytest.mark.parametrize("table", [0x80, 0x96, 0xE8, 0xCA, 0x1D])
def test_three_inputs(table: int) -> None:
    operands = {
        f"u32_{name}": integers("u32", seed) for name, seed in (("a", 17), ("b", 18), ("c", 19))
    }

    def logic(*inputs: int) -> int:
        a, b, c = inputs
        bits = [
            table >> ((a >> i & 1) << 2 | (b >> i & 1) << 1 | c >> i & 1) & 1 for i in range(32)
        ]
        return sum(bit << i for i, bit in enumerate(bits))

    check(f"lop3.b32 %d, %a, %b, %c, {table};", "u32", logic, operands)


@pytest.mark.parametrize("kind", ["u32", "s32", "s64"])
def test_unary(kind: str) -> None:
    a = integers(kind, 20)
    check(f"not.b{kind[1:]} %d, %a;", kind, lambda a: ~a, {kind: a})
    check(f"cnot.b{kind[1:]} %d, %a;", kind, lambda a: int(a == 0), {kind: a})
    if kind[0] == "s":
        check(f"neg.{kind} %d, %a;", kind, lambda a: -a, {kind: a})
        check(f"abs.{kind} %d, %a;", kind, abs, {kind: a})


@pytest.mark.parametrize(
    ("to", "of"), [("u16", "s32"), ("s64", "s32"), ("u64", "u32"), ("s32", "u64"), ("s16", "s64")]
)
def test_integer_conversions(to: str, of: str) -> None:
    a = integers(of, 21)
    low, high = np.iinfo(NUMPY[to]).min, np.iinfo(NUMPY[to]).max
    check(f"cvt.{to}.{of} %d, %a;", to, lambda a: a, {of: a})
    check(f"cvt.sat.{to}.{of} %d, %a;", to, lambda a: max(low, min(high, a)), {of: a})


def test_byte_of_a_wider_register() -> None:
    check("cvt.s32.s8 %d, %a;", "s32", lambda a: wrapped(a, "s8"), {"u32": integers("u32", 22)})
    check("cvt.u32.u8 %d, %a;", "u32", lambda a: a & 255, {"u32": integers("u32", 23)})


@pytest.mark.parametrize("kind", ["u32", "s32", "u64"])
def test_selections(kind: str) -> None:
    a, b = integers(kind, 24), integers(kind, 25)
    operands = {f"{kind}_a": a, f"{kind}_b": np.where(np.arange(N) % 3, b, a)}
    n, names = kind[1:], {"lt": int.__lt__, "le": int.__le__, "eq": int.__eq__, "ne": int.__ne__}
    for name, compare in names.items():
        text = f"setp.{name}.{kind} %p, %a, %b;\nselp.b{n} %d, %a, %b, %p;"
        check(text, kind, lambda a, b, f=compare: a if f(a, b) else b, operands)
        text = f"setp.{name}.{kind} %p|%q, %a, %b;\nselp.b{n} %d, %a, %b, %q;"
        check(text, kind, lambda a, b, f=compare: b if f(a, b) else a, operands)
    check(f"set.gt.u32.{kind} %d, %a, %b;", "u32", lambda a, b: -int(a > b), operands)
    signs = operands | {"s32_c": integers("s32", 26)}
    text = f"slct.b{n}.s32 %d, %a, %b, %c;"
    check(text, kind, lambda a, b, c: a if c >= 0 else b, signs)
    text = f"setp.ge.s32 %q, %c, 0;\nsetp.lt.and.{kind} %p, %a, %b, !%q;\nselp.b{n} %d, %a, %b, %p;"
    check(text, kind, lambda a, b, c: a if a < b and not c >= 0 else b, signs)
