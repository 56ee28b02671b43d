"""Imports: what a file's names stand for, its own and those of other files and of the library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath, PureWindowsPath

from neurodsl.diagnostics import CompileError, Label, Report, Span
from neurodsl.diagnostics.suggest import did_you_mean
from neurodsl.frontend import ast, parse

Loader = Callable[[str, str], tuple[str, str]]
Item = ast.Neuron | ast.Function | ast.Surrogate


@dataclass(slots=True)
class Scope:
    """The names of one file. Surrogates have a name space of their own."""

    name: str
    neurons: dict[str, tuple[ast.Neuron, Scope]] = field(default_factory=dict)
    functions: dict[str, tuple[ast.Function, Scope]] = field(default_factory=dict)
    surrogates: dict[str, tuple[ast.Surrogate, Scope]] = field(default_factory=dict)

    def table(self, item: Item) -> dict[str, tuple[Item, Scope]]:
        """The table that an item belongs to."""
        if isinstance(item, ast.Neuron):
            return self.neurons  # type: ignore[return-value]
        return self.functions if isinstance(item, ast.Function) else self.surrogates  # type: ignore[return-value]


class Files:
    """Every file that a compilation reads, each once."""

    def __init__(self, report: Report, loader: Loader) -> None:
        self.report = report
        self._loader = loader
        self._scopes: dict[str, Scope] = {}
        self._open: list[str] = []
        self.texts: dict[str, str] = {}

    def scope(self, tree: ast.File, name: str, text: str) -> Scope:
        """The names of a parsed file; what it imports is read and parsed too."""
        scope = self._scopes[name] = Scope(name)
        self.texts[name] = text
        self.report.sources[name] = text
        self._open.append(name)
        for item in tree.items:
            if isinstance(item, ast.Import):
                self._import(item, scope)
            else:
                self._declare(item, scope)
        self._open.pop()
        return scope

    def library_surrogates(self) -> Scope:
        """The library's surrogates, which every file knows."""
        from neurodsl.library import surrogates_source

        name, text = surrogates_source()
        if name not in self._scopes:
            before = dict(self.texts), dict(self.report.sources)
            self.scope(parse(text, name, self.report), name, text)
            self.texts, self.report.sources = before[0], before[1]
        return self._scopes[name]

    def _declare(self, item: Item, scope: Scope) -> None:
        table = scope.table(item)
        known = table.get(item.name.name)
        if known is not None and known[1] is scope:
            self.report.add(
                "E0202",
                item.name.span,
                f"`{item.name.name}` is declared twice",
                label="the second time",
                secondary=(Label(known[0].name.span, "the first time"),),
                help="rename one of them",
            )
            return
        table[item.name.name] = (item, scope)

    def _import(self, item: ast.Import, scope: Scope) -> None:
        for name in item.names:
            source = self._library(name) if item.path is None else self._file(item, scope)
            if source is None:
                continue
            found = [
                table[name.name]
                for table in (source.neurons, source.functions, source.surrogates)
                if name.name in table
            ]
            if not found:
                candidates = [*source.neurons, *source.functions, *source.surrogates]
                self._unknown(name, source.name, candidates)
            for entry in found:
                scope.table(entry[0])[name.name] = entry

    def _unknown(self, name: ast.Identifier, where: str, candidates: list[str]) -> None:
        listed = ", ".join(f"`{c}`" for c in candidates) or "nothing"
        self.report.add(
            "E0502",
            name.span,
            f"`{name.name}` is not in {where}",
            label="not found there",
            help=did_you_mean(name.name, candidates, f"it has {listed}"),
        )

    def _library(self, name: ast.Identifier) -> Scope | None:
        from neurodsl import library

        known = library.find(name.name)
        if known is None or name.name not in library.names():
            surrogates = self.library_surrogates()
            if name.name in surrogates.surrogates:
                return surrogates
            self._unknown(name, "the library", [*library.names(), *surrogates.surrogates])
            return None
        return self._read(name.span, *known)

    def _file(self, item: ast.Import, scope: Scope) -> Scope | None:
        assert item.path is not None
        if PurePosixPath(item.path).is_absolute() or PureWindowsPath(item.path).is_absolute():
            self.report.add(
                "E0501",
                item.span,
                "the path of an import is relative to this file",
                label="this one is absolute",
                help='write it as in `from "../neurons/lif.neuron" import LIF`',
            )
            return None
        try:
            name, text = self._loader(scope.name, item.path)
        except CompileError as error:  # it is no text
            here = (Label(item.span, "imported here"),)
            self.report.diagnostics += [replace(d, secondary=here) for d in error.diagnostics]
            self.report.sources |= error.sources
            return None
        except OSError as error:
            reason = getattr(error, "strerror", None) or "there is no such file"
            self.report.add(
                "E0501",
                item.span,
                f"cannot read {item.path!r}: {reason}",
                label="imported here",
                help="a path is relative to the folder of this file",
            )
            return None
        return self._read(item.span, name, text)

    def _read(self, span: Span, name: str, text: str) -> Scope | None:
        if name in self._open:
            self.report.add(
                "E0503",
                span,
                f"{name} imports itself: {' -> '.join([*self._open, name])}",
                label="the circle closes here",
                help="move what both need into a third file",
            )
            return None
        if name not in self._scopes:
            self.report.sources[name] = text
            try:
                tree = parse(text, name, self.report)
            except CompileError:
                return None
            self.scope(tree, name, text)
        return self._scopes[name]
