"""From a source to an imported module, without files beside it: `neurodsl.load`, and variants."""

from __future__ import annotations

import importlib.util
import posixpath
import sys
import threading
from collections.abc import Mapping
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from neurodsl.driver import Loader, analyse_text, compile_analysis, stem_of
from neurodsl.files import disk_loader, read_source
from neurodsl.options import Options

_IMPORTING = threading.RLock()


def load(source: str | Path, **options: Any) -> ModuleType:
    """Compile a source (cached) and import the generated module; nothing is written beside the source.

    `source` is a path (a `Path`, or a string with `.neuron`), a program's text (a string with a newline), or the name
    of a neuron of the library. Other keywords are those of `neurodsl.options.Options`.

    Raises:
        CompileError: the program is wrong.
        FileNotFoundError: there is no such file or library neuron.
    """
    name, text, loader = _resolve(source)
    return _load_text(text, name, loader, Options(**options))


def load_bundle(texts: Mapping[str, str], name: str, **options: Any) -> ModuleType:
    """As `load`, from texts by name (a manifest's `texts`): how pickles and variants find their module again."""

    def loader(importing: str, path: str) -> tuple[str, str]:
        folder = posixpath.dirname(PurePath(importing).as_posix())
        found = posixpath.normpath(posixpath.join(folder, path))
        if found not in texts:
            raise FileNotFoundError(found)
        return found, texts[found]

    return _load_text(texts[name], name, loader, Options(**options))


def load_variant(
    texts: Mapping[str, str], name: str, neuron: str, options: Mapping[str, Any]
) -> type:
    """The class of one neuron of a bundle under other options, such as another surrogate."""
    found: type = class_of(load_bundle(texts, name, **options), neuron)
    return found


def class_of(module: ModuleType, neuron: str) -> Any:
    """A neuron's class in its module, where it has an underscore if Python needs the name.

    Raises:
        AttributeError: the module has no such neuron.
    """
    for found in vars(module).values():
        definition = getattr(found, "definition", None)
        if isinstance(found, type) and getattr(definition, "name", None) == neuron:
            return found
    raise AttributeError(f"{module.__name__} has no neuron {neuron!r}")


def _resolve(source: str | Path) -> tuple[str, str, Loader]:
    if isinstance(source, Path):
        return str(source), read_source(source), disk_loader
    if "\n" in source:
        return "<text>", source, disk_loader
    if ".neuron" in source:
        return source, read_source(Path(source)), disk_loader
    from neurodsl.library import find

    found = find(source)
    if found is None:
        raise FileNotFoundError(
            f"the library has no neuron {source!r} (`neurodsl list` shows them; "
            "a path ends in .neuron, a program's text has several lines)"
        )
    name, text = found
    return name, text, disk_loader


def _load_text(text: str, name: str, loader: Loader, options: Options) -> ModuleType:
    """Checked in any case; differentiated and generated only where the cache has not got it."""
    from neurodsl.build import module_folder

    analysis = analyse_text(text, name, options, loader)
    fingerprint = analysis.fingerprint(options)
    with _IMPORTING:
        stem = stem_of(name)
        module_name = f"neurodsl_generated_{stem}_{fingerprint[:16]}"
        if module_name in sys.modules:
            return sys.modules[module_name]

        def generate() -> dict[str, str]:
            compilation = compile_analysis(analysis, options)
            return {stem + text.suffix: text.text for text in compilation.files}

        folder = module_folder(fingerprint, generate)
        return _import(module_name, folder / f"{stem}.py")


def _import(module_name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module
