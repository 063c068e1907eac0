import hashlib
import itertools

import pytest

from sweeper.imports import call, load_function, source_hash

numbers = itertools.count()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module into the current directory and returns its name, a new one for every test."""
    monkeypatch.chdir(tmp_path)
    name = f"users_module_{next(numbers)}"

    def write(source: str) -> str:
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return write


def test_the_current_directory_counts_as_installed(module):
    name = module("def build(width=3): return width")
    assert load_function(f"{name}:build")() == 3


def test_a_changed_module_is_imported_again(module):
    name = module("def build(): return 1")
    assert load_function(f"{name}:build")() == 1
    module("def build(): return 2")
    assert load_function(f"{name}:build")() == 2


def test_the_hash_is_of_the_source(module):
    name = module("def build(): return 1")
    first = source_hash(f"{name}:build")
    assert first == hashlib.sha256(b"def build(): return 1").hexdigest()
    module("def build(): return 2")
    assert source_hash(f"{name}:build") != first


def test_a_declared_version_stands_for_the_source(module):
    name = module("VERSION = 1\ndef build(): return 1")
    first = source_hash(f"{name}:build")
    module("VERSION = 1\ndef build(): return 1  # a comment")
    assert source_hash(f"{name}:build") == first
    module("VERSION = 2\ndef build(): return 1")
    assert source_hash(f"{name}:build") != first


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("module:", "malformed"),
        (":function", "malformed"),
        ("module:a:b", "malformed"),
        ("no_such_module:build", 'no module "no_such_module"'),
        ("json.no_such_module:build", 'no module "json.no_such_module"'),
        ("json:no_such_function", 'json has no function "no_such_function"'),
    ],
)
def test_a_wrong_path_is_named(path, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_function(path)
    assert f'import path "{path}"' in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_package", "needs no_such_package; install it"),
        ("def build(:", "SyntaxError in users_module"),
        ("1 / 0", "ZeroDivisionError in users_module"),
        ("build = 3", 'has no function "build"'),
    ],
)
def test_a_module_that_fails_is_named(module, source, message):
    name = module(source)
    with pytest.raises(ValueError, match=message) as caught:
        load_function(f"{name}:build")
    assert "\n" not in str(caught.value)


def test_code_without_source_needs_a_version():
    with pytest.raises(ValueError, match="math has no source file; declare VERSION"):
        source_hash("math:sqrt")


def test_settings_that_do_not_fit_are_named_with_the_signature():
    def build(task, width=32):
        return task, width

    assert call("m:build", build, 1, width=2) == (1, 2)
    with pytest.raises(
        ValueError, match=r'"m:build" does not take these settings: .*depth.*\(task, width=32\)'
    ):
        call("m:build", build, 1, depth=2)


def test_a_type_error_inside_the_function_is_not_taken_for_bad_settings():
    def build():
        return 1 + "1"

    with pytest.raises(TypeError, match="unsupported operand"):
        call("m:build", build)
