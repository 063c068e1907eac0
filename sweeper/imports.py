"""Names of components: one of ours, or the import path of the user's, `package.module:function`."""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from search_spaces.recipe import Recipe

_source_at_import: dict[str, str] = {}
"""Module -> hash of the source it was imported from, to notice that the file has changed since."""


def is_import_path(name: str) -> bool:
    """Say whether `name` has the form of an import path."""
    return ":" in name


def import_paths(recipe: Recipe) -> list[str]:
    """Return the import paths of the tasks and models that the trials of `recipe` use, sorted."""
    configs = [recipe.trial(point) for space in recipe.space for point in space.corners()]
    used = {part.name for c in configs for part in (c.task, c.model, *c.tasks, *c.measures.eval_tasks)}
    return sorted(filter(is_import_path, used))


def find(kind: str, name: str, known: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    """Return the function that `name` stands for: `known[name]`, or the one at the import path `name`.

    Raises:
        ValueError: if `name` is neither.
    """
    if is_import_path(name):
        return load_function(name)
    if name not in known:
        raise ValueError(
            f'{kind} "{name}" is unknown: choose from {", ".join(known)}, or give an import path "module:function"'
        )
    return known[name]


def load_function(path: str) -> Callable[..., Any]:
    """Import the function at `package.module:function`; the current directory counts as installed.

    A module whose file has changed since it was imported is imported again.

    Raises:
        ValueError: if the path is malformed, its module can't be imported, or holds no such function.
    """
    module_name, _, function_name = path.partition(":")
    if not module_name or not function_name.isidentifier():
        raise ValueError(f'import path "{path}" is malformed: write "package.module:function"')
    module = _import(path, module_name)
    function: object = getattr(module, function_name, None)
    if not callable(function):
        raise ValueError(f'import path "{path}": {module.__name__} has no function "{function_name}"')
    return function


def source_hash(path: str) -> str:
    """Return what stands for the code at an import path in a key: SHA-256 of its module's source file.

    Code that the module imports from elsewhere is not covered. A module that declares `VERSION` is identified by it
    instead, which lets its author say when a change matters.

    Raises:
        ValueError: if the function can't be loaded, or its module has neither a source file nor a `VERSION`.
    """
    load_function(path)
    module = sys.modules[path.partition(":")[0]]
    version = getattr(module, "VERSION", None)
    if version is not None:
        return hashlib.sha256(f"VERSION {version!r}".encode()).hexdigest()
    digest = _source_digest(module)
    if digest is None:
        raise ValueError(f'import path "{path}": {module.__name__} has no source file; declare VERSION in it')
    return digest


def call(name: str, function: Callable[..., Any], *args: object, **settings: object) -> Any:
    """Return `function(*args, **settings)`.

    Raises:
        ValueError: if the settings don't fit the function's signature.
    """
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **settings)
    except TypeError as error:
        raise ValueError(
            f'"{name}" does not take these settings: {error}; it is called as {signature}'
        ) from None
    return function(*args, **settings)


def _import(path: str, module_name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    importlib.invalidate_caches()
    # Cached bytecode is matched by whole seconds and size: a quick edit would run the old code under a new hash.
    writes_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        module = importlib.import_module(module_name)
        digest = _source_digest(module)
        if digest is not None and _source_at_import.setdefault(module_name, digest) != digest:
            module = importlib.reload(module)
            _source_at_import[module_name] = digest
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ValueError(f'import path "{path}": {module_name} needs {error.name}; install it') from error
        raise ValueError(
            f'import path "{path}": no module "{error.name}" in {Path.cwd()} or among the installed packages'
        ) from None
    except Exception as error:
        raise ValueError(f'import path "{path}": {type(error).__name__} in {module_name}: {error}') from error
    finally:
        sys.dont_write_bytecode = writes_bytecode
    return module


def _source_digest(module: ModuleType) -> str | None:
    try:
        source = inspect.getsourcefile(module)
    except TypeError:  # built into the interpreter
        return None
    return None if source is None else hashlib.sha256(Path(source).read_bytes()).hexdigest()
