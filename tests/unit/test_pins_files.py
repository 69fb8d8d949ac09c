"""`ftbench pin` on local files: the hash of each is written, and the rest of params.yaml stays."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ftbench import params, pins
from ftbench.errors import UserError

ROOT = Path(__file__).parents[2]


PINNED = """\
# a scale on local files
real:
  datasets:
    snli:
      source: file # from the publisher
      files:
        # the training part
        train:
          - path: train.jsonl
            format: jsonl
        # the test part
        test:
          - path: test.jsonl
            format: jsonl
            sha256: {old}
  models:
    phi_2:
      source: file
      path: phi
"""


def test_pin_writes_the_hash_of_every_local_file_and_keeps_comments(tmp_path: Path) -> None:
    for name, content in {"train.jsonl": "a", "test.jsonl": "b", "phi/config.json": "{}", "phi/model.safetensors": "w"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    path = tmp_path / "params.yaml"
    digest = {text: hashlib.sha256(text.encode()).hexdigest() for text in ("a", "b", "{}", "w")}
    path.write_text(PINNED.format(old=digest["b"]))
    changed = pins.write(path)
    assert [line.split(":")[1].strip() for line in changed] == [
        "real.datasets.snli.files.train[0].sha256", "real.models.phi_2.files[0].sha256", "real.models.phi_2.files[1].sha256",
    ]  # fmt: skip
    real = params.read(path)["real"]
    assert real["datasets"]["snli"]["files"]["train"] == [{"path": "train.jsonl", "format": "jsonl", "sha256": digest["a"]}]
    assert real["models"]["phi_2"]["files"] == [
        {"path": "config.json", "sha256": digest["{}"]}, {"path": "model.safetensors", "sha256": digest["w"]},
    ]  # fmt: skip
    text = path.read_text()
    assert f"            sha256: {digest['a']}\n        # the test part\n        test:\n" in text
    assert all(comment in text for comment in ("# a scale on local files", "# from the publisher", "# the training part"))
    assert pins.write(path) == []
    assert path.read_text() == text


def test_pin_names_every_missing_file_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PINNED.format(old="0" * 64))
    before = path.read_text()
    with pytest.raises(UserError) as caught:
        pins.write(path)
    assert [problem.where for problem in caught.value.problems] == [
        "params.yaml: real.datasets.snli.files.train[0]",
        "params.yaml: real.datasets.snli.files.test[0]",
        "params.yaml: real.models.phi_2.path",
    ]
    assert path.read_text() == before


def test_pin_leaves_the_shipped_page_as_it_is_but_for_the_hash(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("a")
    page = (ROOT / "params.yaml").read_text()
    extra = "third:\n  datasets:\n    snli:\n      source: file\n      files:\n"
    extra += "        train:\n          - path: x.jsonl\n            format: jsonl\n"
    (tmp_path / "params.yaml").write_text(page + extra)
    assert len(pins.write(tmp_path / "params.yaml")) == 1
    digest = hashlib.sha256(b"a").hexdigest()
    assert (tmp_path / "params.yaml").read_text() == page + extra + f"            sha256: {digest}\n"
