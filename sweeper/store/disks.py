"""Files of a local disk that appear whole or not at all."""

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

TEMPORARY = ".tmp"
"""Ends the name of a file that is being written."""

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@contextlib.contextmanager
def temporary_file(path: str, content: bytes, durable: bool) -> Iterator[str]:
    """Write `content` beside `path` for the caller to give it that name; clean up whatever happens."""
    target, temporary = Path(path), Path(f"{path}.{uuid.uuid4().hex}{TEMPORARY}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("xb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        yield str(temporary)
        if durable:
            _sync_directory(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def link(temporary: str, path: str) -> None:
    """Give a finished file its name unless the name is taken.

    Raises:
        OSError: FileExistsError if it is taken, others if the name can't be given.
    """
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # Exclusive everywhere, but not whole if we are killed in the middle: readers check what they parse.
        with Path(path).open("xb") as file:
            file.write(Path(temporary).read_bytes())


def _sync_directory(directory: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def walk(directory: str) -> Iterator[tuple[str, int]]:
    """Yield path and bytes of every file under `directory`, at any depth; those that vanish meanwhile are left out."""
    for folder, _, names in os.walk(directory, onerror=_raise_unless_gone):
        for name in names:
            path = f"{folder}/{name}"
            with contextlib.suppress(FileNotFoundError):
                yield path, Path(path).stat().st_size


def _raise_unless_gone(error: OSError) -> None:
    # Whoever lists what runs refer to must not mistake what it can't see for nothing.
    if not isinstance(error, FileNotFoundError):
        raise error
