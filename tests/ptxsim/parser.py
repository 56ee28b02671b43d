"""Turns PTX text into plain objects."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping

from ptxsim.syntax import (
    TYPE_BYTES,
    Address,
    Call,
    Immediate,
    Instruction,
    Kernel,
    Module,
    Operand,
    Pair,
    PtxError,
    Register,
    Special,
    Symbol,
    Variable,
    Vector,
)

_HEADER = re.compile(r"^(\.\w+\s+)*\.(entry|func)\b")
_LABEL = re.compile(r"\s*[$\w.]+:")
_BODY = re.compile(r"(?:\.\w+\s+)*\.(?:entry|func)\b[^{;]*\{")
_BRACE = re.compile(r"[{}]")
_TOKEN = re.compile(r"[{};:]")
_ADDRESS = re.compile(r"\[\s*([^\s+\]]+)\s*(?:\+\s*(-?\w+))?\s*\]")
_SPECIAL = re.compile(
    r"%(?:(?:tid|ntid|ctaid|nctaid)\.[xyz]|laneid|warpid|nwarpid|smid|gridid|clock|clock64|"
    r"globaltimer|lanemask_\w+|dynamic_smem_size|total_smem_size)$"
)
_VARIABLE = re.compile(
    r"^(?:\.(?:visible|extern|weak|common)\s+)*\.(global|const|shared|local|param)\s+"
    r"(?:\.align\s+(\d+)\s+)?(?:\.attribute\S*\s+)?\.(\w+)\s+(?:\.ptr\s+)?(?:\.\w+\s+)?"
    r"(?:\.align\s+\d+\s+)?([$\w.]+)\s*(\[\s*\d*\s*\])?\s*(?:=\s*(.*))?$",
    re.DOTALL,
)
_FUNCTION = re.compile(
    r"\.(entry|func)\s*(?:\(([^)]*)\)\s*)?([$\w.]+)\s*(?:\(([^)]*)\))?", re.DOTALL
)
_INSTRUCTION = re.compile(r"(?:@(!?)\s*([%\w.$]+)\s+)?([a-z][\w.:]*)\s*(.*)$", re.DOTALL)
_CALL = re.compile(r"(?:\(([^)]*)\)\s*,\s*)?([$\w.]+)\s*(?:,\s*\(([^)]*)\))?\s*$", re.DOTALL)


def parse(text: str) -> Module:
    """Parse a whole PTX file.

    Raises:
        PtxError: for declarations and statements that are not known.
    """
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    text = re.sub(r"//[^\n]*", "", text)
    target = re.search(r"^\s*\.target\s+(\w+)", text, re.MULTILINE)
    version = re.search(r"^\s*\.version\s+([\d.]+)", text, re.MULTILINE)
    text = re.sub(r"^\s*\.section\s+\.debug.*?^\s*\}", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(
        r"^\s*\.(version|target|address_size|file)\b[^\n]*$", "", text, flags=re.MULTILINE
    )
    text = re.sub(r"^(\s*\.loc\b[^\n;]*)$", r"\1;", text, flags=re.MULTILINE)

    kernels: dict[str, tuple[str, str]] = {}
    variables: list[Variable] = []
    outside, end = "", 0
    for opening in _BODY.finditer(text):
        if opening.start() < end:
            continue
        header, start = opening[0], opening.end()
        outside += text[end : opening.start()]
        end = _closing(text, start)
        match = _FUNCTION.search(header)
        assert match is not None, header
        kernels[match[3]] = header, text[start : end - 1]
    for kind, statement in _statements(outside + text[end:]):
        is_variable = re.search(r"\.(global|const|shared)\b", statement)
        if kind == "statement" and is_variable and not _HEADER.match(statement):
            variables.append(_variable(statement))
    return Module(
        target[1] if target else "?", version[1] if version else "?", _Kernels(kernels), variables
    )


class _Kernels(Mapping[str, Kernel]):
    """Kernels that are read when they are asked for; a file may have many, long ones."""

    def __init__(self, texts: dict[str, tuple[str, str]]) -> None:
        self._texts = texts
        self._known: dict[str, Kernel] = {}

    def __getitem__(self, name: str) -> Kernel:
        if name not in self._known:
            header, text = self._texts[name]
            body = _Body(header)
            for kind, statement in _statements(text):
                if kind == "statement":
                    body.add(statement)
                elif kind == "open":
                    body.scope.push()
                else:
                    body.scope.pop()
            self._known[name] = body.kernel
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _closing(text: str, start: int) -> int:
    """One past the brace that closes what was opened before `start`."""
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    raise PtxError("a function that does not end")


def _statements(text: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, text): 'open' with the header before it, 'close', or 'statement'.

    A brace opens or closes a scope when it stands at the start of a statement or after a function header;
    anywhere else it belongs to an operand or an initialiser.
    """
    start, depth = 0, 0
    for token in _TOKEN.finditer(text):
        mark, here = token[0], token.start()
        if mark == ":":
            double = ":" in (text[here - 1], text[here + 1 : here + 2])  # ld.global.L1::no_allocate
            if depth == 0 and not double and _LABEL.fullmatch(text, start, here + 1):
                yield "statement", text[start : here + 1].strip()
                start = here + 1
            continue
        head = text[start:here].strip() if depth == 0 else ""
        if depth == 0 and mark == "{" and (not head or _HEADER.match(head)):
            yield "open", head
        elif depth == 0 and mark == "}" and not head:
            yield "close", ""
        elif depth == 0 and mark == ";":
            yield "statement", head
        else:
            depth += (mark == "{") - (mark == "}")
            continue
        start = here + 1


def _split(text: str) -> list[str]:
    """Split an operand list at the commas outside of brackets."""
    if not re.search(r"[\[{(]", text):
        return [part.strip() for part in text.split(",") if part.strip()]
    parts, current, depth = [], "", 0
    for character in text:
        depth += (character in "[{(") - (character in "]})")
        if character == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    if current.strip():
        parts.append(current.strip())
    return parts


def _number(text: str) -> Immediate | None:
    if re.fullmatch(r"0[fF][0-9a-fA-F]{8}", text):
        bits = int(text[2:], 16)
        return Immediate(struct.unpack("<f", struct.pack("<I", bits))[0], bits)
    if re.fullmatch(r"0[dD][0-9a-fA-F]{16}", text):
        bits = int(text[2:], 16)
        return Immediate(struct.unpack("<d", struct.pack("<Q", bits))[0], bits)
    if re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)U?", text):
        digits = text.rstrip("U").lstrip("-")
        if re.fullmatch(r"0[0-7]+", digits):
            digits = "0o" + digits[1:]
        value = int(digits, 0)
        return Immediate(-value if text.startswith("-") else value)
    if re.fullmatch(r"-?\d+\.\d*([eE][-+]?\d+)?", text):
        return Immediate(float(text))
    return None


def _variable(text: str) -> Variable:
    match = _VARIABLE.match(text.strip())
    if not match:
        raise PtxError(f"declaration {text!r}")
    space, align, kind, name, dimension, initial = match.groups()
    count = 1 if dimension is None else int(dimension.strip("[] \n") or 0)
    size, content = TYPE_BYTES[kind], None
    if initial:
        content = b""
        for item in _split(initial.strip().strip("{}")):
            number = _number(item)
            if number is None:
                raise PtxError(f"initial value of {name}: {item!r}")
            bits = number.bits if number.bits is not None else int(number.value)
            content += (bits & (1 << 8 * size) - 1).to_bytes(size, "little")
        content = content.ljust(size * count, b"\0")
    return Variable(name, space, kind, int(align or size), count, content)


class _Scope:
    """Names declared inside { } hide outer ones, as in inline assembly; inner ones get a suffix."""

    def __init__(self) -> None:
        self.stack: list[dict[str, str]] = [{}]
        self.count = 0

    def declare(self, name: str) -> str:
        unique = name if len(self.stack) == 1 else f"{name}#{self.count}"
        self.stack[-1][name] = unique
        return unique

    def find(self, name: str) -> str | None:
        return next((names[name] for names in reversed(self.stack) if name in names), None)

    def push(self) -> None:
        self.count += 1
        self.stack.append({})

    def pop(self) -> None:
        self.stack.pop()


class _Body:
    """A kernel while its statements are read."""

    def __init__(self, header: str) -> None:
        match = _FUNCTION.search(header)
        assert match is not None, header
        results, parameters = ([_variable(p) for p in _split(match[n] or "")] for n in (2, 4))
        self.kernel = Kernel(match[3], parameters, match[1] == "entry", results)
        self.scope = _Scope()
        self.line = ""
        self._outer: dict[str, Operand] = {}
        """Operands read outside of inner scopes, which mean the same there each time."""

    def add(self, statement: str) -> None:
        """Take one statement in."""
        kernel = self.kernel
        if not statement:
            return
        if statement.startswith("."):
            self._directive(statement)
        elif _LABEL.fullmatch(statement):
            kernel.labels[statement[:-1]] = len(kernel.code)
        else:
            self._instruction(statement)

    def _directive(self, statement: str) -> None:
        if statement.startswith(".reg"):
            match = re.match(r"\.reg\s+\.(\w+)\s+(.*)", statement, re.DOTALL)
            assert match is not None, statement
            for name in (part.strip() for part in match[2].split(",")):
                several = re.fullmatch(r"([%$\w.]+)<(\d+)>", name)
                names = [f"{several[1]}{i}" for i in range(int(several[2]))] if several else [name]
                self._outer.clear()
                for each in names:
                    self.kernel.registers[self.scope.declare(each)] = match[1]
        elif loc := re.match(r"\.loc\s+\d+\s+(\d+)", statement):
            inlined = re.search(r"inlined_at\s+\d+\s+(\d+)", statement)
            self.line = f"line {loc[1]}" + (f" (inlined at {inlined[1]})" if inlined else "")
        elif re.match(r"\.(shared|local|param)\b", statement):
            variable = _variable(statement)
            unique = self.scope.declare(variable.name)
            self.kernel.variables.append(
                Variable(unique, variable.space, variable.type, variable.align, variable.count)
            )

    def _instruction(self, statement: str) -> None:
        match = _INSTRUCTION.match(statement)
        if not match:
            raise PtxError(f"statement {statement!r}")
        guard = self._register(match[2], bool(match[1])) if match[2] else None
        opcode, *modifiers = match[3].replace("::", "__").split(".")
        operands: tuple[Operand, ...] = ()
        if opcode == "call":
            if called := _CALL.match(match[4]):
                results, arguments = (
                    tuple(self.scope.find(name) or name for name in _split(called[n] or ""))
                    for n in (1, 3)
                )
                self.kernel.calls[len(self.kernel.code)] = Call(results, called[2], arguments)
        elif opcode == "bra":
            operands = (Symbol(match[4].strip()),)
        else:
            operands = tuple(self._operand(part) for part in _split(match[4]))
        text = re.sub(r"\s+", " ", statement)
        self.kernel.code.append(
            Instruction(opcode, tuple(modifiers), operands, guard, text, self.line)
        )

    def _register(self, name: str, negated: bool = False) -> Register:
        known = self.scope.find(name)
        if known is None:
            raise PtxError(f"undeclared register {name}")
        return Register(known, negated)

    def _operand(self, text: str) -> Operand:
        if len(self.scope.stack) > 1:
            return self._read_operand(text.strip())
        operand = self._outer.get(text)
        if operand is None:
            operand = self._outer[text] = self._read_operand(text.strip())
        return operand

    def _read_operand(self, text: str) -> Operand:
        if text.startswith("["):
            match = _ADDRESS.fullmatch(text)
            if not match:
                raise PtxError(f"address {text!r}")
            return Address(self._operand(match[1]), int(match[2], 0) if match[2] else 0)
        if text.startswith("{"):
            return Vector(tuple(self._operand(part) for part in _split(text[1:-1])))
        if "|" in text:
            first, second = text.split("|")
            return Pair(self._operand(first), self._operand(second))
        if text.startswith("!"):
            return self._register(text[1:].strip(), negated=True)
        if text == "_":
            return Register("_")
        if known := self.scope.find(text):
            is_register = known in self.kernel.registers
            return Register(known) if is_register else Symbol(known)
        if _SPECIAL.match(text):
            return Special(text[1:])
        if text == "WARP_SZ":
            return Immediate(32)
        number = _number(text)
        if number is not None:
            return number
        if text.startswith("%"):
            raise PtxError(f"undeclared register {text}")
        return Symbol(text)
