import logging
import os
import pickle
import time
import uuid
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from victims import killed_at, save_for_ever, save_object, start

from sweeper.store import StorageError, Store, probe

SHAPES = hnp.array_shapes(min_dims=0, min_side=0, max_side=4)
KEY = "ab" + 62 * "0"
DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int32, torch.int64,
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64,
]  # fmt: skip


def assert_same(loaded: dict[str, torch.Tensor], saved: dict[str, torch.Tensor]) -> None:
    assert loaded.keys() == saved.keys()
    for name, tensor in saved.items():
        assert loaded[name].dtype == tensor.dtype
        assert loaded[name].shape == tensor.shape
        # Bytes, so that NaN equals NaN and -0.0 differs from 0.0.
        assert bytes_of(loaded[name]) == bytes_of(tensor)


def bytes_of(tensor: torch.Tensor) -> bytes:
    return bytes(tensor.detach().contiguous().clone().untyped_storage())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    arrays=st.dictionaries(st.text(), hnp.arrays(np.float64, SHAPES), max_size=4),
    dtype=st.sampled_from(DTYPES),
    meta=st.dictionaries(
        st.text(), st.integers() | st.text() | st.floats(allow_nan=False) | st.none(), max_size=3
    ),
)
def test_what_is_saved_is_loaded(
    url: str, arrays: dict[str, np.ndarray], dtype: torch.dtype, meta: dict[str, object]
) -> None:
    store, tensors = Store(url), {name: torch.tensor(value).to(dtype) for name, value in arrays.items()}
    store.save(KEY, tensors, meta)
    loaded = store.load(KEY)
    assert loaded is not None
    assert loaded.meta == meta
    assert_same(loaded.tensors, tensors)


def test_views_and_tied_weights(url: str) -> None:
    buffer = torch.arange(12.0)
    embedding = torch.nn.Parameter(torch.randn(4, 3))
    tensors = {
        "row": buffer[:4], "overlap": buffer[2:6], "transposed": buffer.view(3, 4).t(), "strided": buffer[::3],
        "embedding": embedding, "head": embedding, "expanded": torch.ones(1).expand(5), "zero-d": buffer[3],
    }  # fmt: skip
    store = Store(url)
    store.save(KEY, tensors, {})
    loaded = store.load(KEY)
    assert loaded is not None
    assert_same(loaded.tensors, tensors)
    assert loaded.tensors["head"] is loaded.tensors["embedding"]
    # Only what was tied is one tensor: a change of one view is no change of another.
    loaded.tensors["row"].fill_(-1.0)
    assert torch.equal(loaded.tensors["overlap"], buffer[2:6])


def test_keys_size_delete(url: str) -> None:
    store = Store(url)
    assert (list(store.keys()), store.contains(KEY), store.load(KEY), store.size()) == ([], False, None, 0)
    store.save(KEY, {"a": torch.zeros(10)}, {})
    store.save(KEY.replace("a", "b"), {"a": torch.zeros(10)}, {})
    assert sorted(store.keys()) == [KEY, KEY.replace("a", "b")]
    assert store.contains(KEY)
    assert Store(url).size() == store.size() > 80
    assert pickle.loads(pickle.dumps(store)).contains(KEY)
    store.delete(KEY)
    store.delete(KEY)
    assert not store.contains(KEY)


def test_no_bit_and_no_length_can_change_unnoticed(url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(url)
    store.save(KEY, {"weight": torch.arange(4.0), "tied": torch.ones(1)}, {"step": 3})
    [path] = store.find(store.root)
    content = store.read(path)
    assert content is not None
    damaged = [content[:length] for length in range(len(content))] + [content + b" "]
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        damaged.append(bytes(changed))
    for number, version in enumerate(damaged):
        store.write(path, version)
        caplog.clear()
        assert store.load(KEY) is None, number
        assert "damaged" in caplog.text
        assert not store.contains(KEY)
    store.write(path, content)
    assert store.load(KEY) is not None


def test_a_save_killed_at_any_operation_leaves_all_or_nothing(tmp_path: Path) -> None:
    for before in ("nothing", "an older one"):
        operation, root = 0, tmp_path / before
        while True:
            store = Store(str(root / str(operation)))
            if before == "an older one":
                store.save(KEY, {"weight": torch.zeros(3)}, {"step": 0})
            killed = killed_at(operation, save_object, store.root, KEY, 10_000)
            loaded = store.load(KEY)
            assert (loaded is not None) == store.contains(KEY)
            steps = {0: None, 1: None} if before == "nothing" else {0: 0, 1: 1}
            assert (loaded.meta["step"] if loaded else None) in {steps[0], 1}
            if not killed:
                assert loaded is not None
                assert loaded.meta["step"] == 1
                break
            operation += 1
        assert operation >= 3


def test_nobody_ever_reads_half_an_object(tmp_path: Path) -> None:
    """Neither while it is written over, nor after its writer was killed at a random moment."""
    store, reads = Store(str(tmp_path)), 0
    for round_ in range(4):
        process = start(save_for_ever, store.root, 500_000)
        while not store.contains(KEY):
            time.sleep(0.001)
        end = time.monotonic() + 0.1 + 0.003 * round_
        while time.monotonic() < end:
            loaded = store.load(KEY)
            assert loaded is not None
            assert bool((loaded.tensors["weight"] == loaded.meta["step"]).all())
            reads += 1
        process.kill()
        process.join()
        assert store.load(KEY) is not None
    assert reads > 10


def test_quota_refuses_before_writing(url: str) -> None:
    store = Store(url, quota_bytes=3000)
    store.save(KEY, {"a": torch.zeros(250)}, {})
    with pytest.raises(StorageError, match=r"\d+ bytes used of quota 3000, \d+ more needed; raise the quota"):
        store.save(KEY.replace("a", "b"), {"a": torch.zeros(500)}, {})
    assert list(store.keys()) == [KEY]
    store.delete(KEY)
    store.save(KEY.replace("a", "b"), {"a": torch.zeros(500)}, {})


def test_storage_that_cannot_be_used_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        StorageError, match=r"^storage \S+/file/sub: cannot write probe-\w+: Not a directory$"
    ):
        probe(Store(str(tmp_path / "file" / "sub")))
    with pytest.raises(StorageError, match=r"^storage nosuch://bucket: "):
        Store("nosuch://bucket")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_probe_of_a_directory_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Permission denied"):
        probe(Store(str(tmp_path / "storage")))


def test_probe_leaves_nothing(url: str) -> None:
    store = Store(url)
    probe(store)
    assert store.find(store.root) == {}


def test_a_file_system_without_hard_links_still_creates_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    probe(Store(str(tmp_path)))


def test_paths_may_hold_characters_of_patterns(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "run [1] *"))
    store.save(KEY, {"a": torch.zeros(1)}, {})
    assert store.load(KEY) is not None


def test_warnings_name_the_object(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(str(tmp_path))
    store.write(f"{store.root}/objects/ab/{KEY}.safetensors", uuid.uuid4().bytes)
    with caplog.at_level(logging.WARNING):
        assert store.load(KEY) is None
    assert KEY in caplog.text
