"""`ftbench repro` and what earlier runs left: outputs that are restored, made anew, kept or taken away."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell_pipelines import empty_repository, ended, pipeline, repro


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """An empty DVC repository, as the current folder."""
    return empty_repository(tmp_path, monkeypatch)


def test_going_back_to_an_earlier_value_restores_what_it_gave(repo):
    pipeline(one={"cmd": "cat params.yaml > one.txt", "params": ["rate"], "deps": ["input"]})
    Path("input").write_text("same")
    for rate, how in (("1", "ran"), ("2", "ran"), ("1", "restored")):
        Path("params.yaml").write_text(f"rate: {rate}\n")
        assert ended(repro()) == [("one", how)]
        assert Path("one.txt").read_text() == f"rate: {rate}\n"


@pytest.mark.parametrize("out", ["one.txt", "folder"])
def test_what_was_cut_off_in_the_cache_is_made_anew_and_not_restored(repo, out):
    """DVC believes an object that nobody may write; it would restore a half of it."""
    command = "cat params.yaml > one.txt" if out == "one.txt" else "mkdir folder && cat params.yaml > folder/one.txt"
    pipeline(one={"cmd": command, "params": ["rate"], "outs": [out]})
    made = {}
    for rate in ("first", "other"):
        before = set(Path(".dvc/cache/files").rglob("*"))
        Path("params.yaml").write_text(f"rate: {rate}\n")
        repro()
        made[rate] = [path for path in set(Path(".dvc/cache/files").rglob("*")) - before if path.is_file()]
    for path in made["first"]:
        if not path.name.endswith(".dir"):
            path.chmod(0o644)
            path.write_text("rate: fir")
            path.chmod(0o444)
    Path("params.yaml").write_text("rate: first\n")
    assert ended(repro()) == [("one", "ran")]
    assert (Path(out) if out == "one.txt" else Path(out) / "one.txt").read_text() == "rate: first\n"
    assert [path.read_text() for path in made["first"] if not path.name.endswith(".dir")] == ["rate: first\n"]
    assert "nothing to do" in repro()


def test_what_a_stage_that_is_gone_has_left_is_taken_away_and_comes_back_with_it(repo):
    made = "mkdir -p all && echo 1 > all/{0}.txt"
    Path("input").write_text("same")  # DVC's run cache is for stages that read something
    one, other = ({"cmd": made.format(name), "outs": [f"all/{name}.txt"], "deps": ["input"]} for name in ("one", "other"))
    folder = {"cmd": "mkdir folder && echo 2 > folder/a", "outs": ["folder"], "deps": ["input"]}
    reader = {"cmd": "ls all > reader.txt", "deps": ["all"]}
    pipeline(one=one, other=other, folder=folder, reader=reader)
    repro(jobs=1)
    repro(jobs=1)  # DVC cannot know that the reader reads what the others make
    Path("all/mine.txt").write_text("of no stage")
    pipeline(one=one, reader=reader)
    told = repro()
    assert "all/other.txt: of a stage that is gone" in told
    assert "folder: of a stage that is gone" in told
    assert sorted(path.name for path in Path("all").iterdir()) == [".gitignore", "mine.txt", "one.txt"]
    assert not Path("folder").exists()
    pipeline(one=one, other=other, folder=folder, reader=reader)
    told = repro(jobs=1)
    assert ("other", "restored") in ended(told)
    assert Path("folder/a").read_text() == "2\n"


def test_what_a_stage_that_is_gone_has_left_stays_where_another_reads_it_or_it_is_a_link(repo):
    pipeline(one={"cmd": "mkdir data && echo 1 > data/a", "outs": ["data"]}, other={"cmd": "echo 2 > other.txt"})
    repro()
    kept = Path("other.txt").read_text()
    (place,) = [path for path in Path(".dvc/cache/files").rglob("*") if path.is_file() and path.read_text() == kept]
    Path("other.txt").unlink()
    Path("other.txt").symlink_to(place)  # as with DVC's cache.type symlink
    pipeline(reader={"cmd": "cat data/a > reader.txt", "deps": ["data/a"]})
    assert "gone" not in repro()
    assert Path("data/a").read_text() == "1\n"
    assert place.read_text() == kept


def test_what_was_edited_since_a_stage_that_is_gone_made_it_stays(repo):
    pipeline(one={"cmd": "echo 1 > one.txt"}, other={"cmd": "echo 2 > other.txt"})
    repro()
    Path("other.txt").unlink()
    Path("other.txt").write_text("edited")
    pipeline(one={"cmd": "echo 1 > one.txt"})
    assert "gone" not in repro()
    assert Path("other.txt").read_text() == "edited"


def test_an_output_that_was_edited_or_cut_off_is_made_or_restored_again(repo):
    pipeline(one={"cmd": "cat params.yaml > one.txt", "params": ["rate"]})
    Path("params.yaml").write_text("rate: 1\n")
    repro()
    for text in ("rate: 2\n", "ra", ""):
        Path("one.txt").unlink()
        Path("one.txt").write_text(text)
        assert len(ended(repro())) == 1
        assert Path("one.txt").read_text() == "rate: 1\n"


def test_what_follows_an_output_that_came_out_the_same_does_not_run(repo):
    pipeline(
        one={"cmd": "echo same > one.txt", "params": ["rate"]},
        two={"cmd": "cat one.txt > two.txt", "deps": ["one.txt"]},
    )
    Path("params.yaml").write_text("rate: 1\n")
    repro()
    Path("params.yaml").write_text("rate: 2\n")
    assert ended(repro()) == [("one", "ran"), ("two", "unchanged")]
