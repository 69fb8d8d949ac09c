"""How an arm is spread over processes: what a machine cannot do is refused, threads are divided, and batches too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from ftbench import accounting, launch, ranks, schema
from ftbench.counting import Counts
from ftbench.errors import UserError


def several(num_processes: int, strategy: str = "ddp") -> schema.Launch:
    return schema.Launch.model_validate({"num_processes": num_processes, "strategy": strategy})


def refused(asked: schema.Launch) -> str:
    with pytest.raises(UserError) as caught:
        launch.run(lambda: None, asked, "study.arm")
    return str(caught.value)


@pytest.mark.parametrize("asked", [None, schema.Launch()])
def test_an_arm_that_asks_for_no_more_than_one_process_is_trained_by_this_one(asked: schema.Launch | None) -> None:
    called: list[int] = []
    launch.run(lambda: called.append(os.getpid()), asked, "study.arm")
    assert called == [os.getpid()]
    assert (launch.is_rank(), launch.rank()) == (False, 0)


def test_more_processes_than_gpus_that_can_be_seen_are_refused_by_their_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(launch, "_start", lambda *_: None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert refused(several(3)) == (
        "study.arm: launch.num_processes\n  found:   3, where 2 GPUs are to be seen (CUDA_VISIBLE_DEVICES=4,7)\n"
        "  allowed: 1 to 2: a GPU for each"
    )
    launch.run(lambda: None, several(2, "fsdp"), "study.arm")


def test_weights_in_pieces_without_a_gpu_are_refused_by_their_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert refused(several(2, "fsdp")) == "study.arm: launch.strategy\n  found:   fsdp, on a machine without a GPU\n  allowed: ddp"


def test_processes_share_the_threads_and_leave_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    seen: list[tuple[str | None, ...]] = []
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "GLOO_SOCKET_IFNAME")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(launch, "_start", lambda *_: seen.append(tuple(map(os.environ.get, names))))
    before = dict(os.environ)
    launch.run(lambda: None, several(3), "study.arm")
    assert seen[0][:2] == ("2", "1"), "seven threads for three, and never none"
    assert str(seen[0][2]).startswith("lo")
    assert dict(os.environ) == before


def test_one_process_is_one_process_however_it_was_said_and_several_are_read_back_as_written() -> None:
    given = {"training": {"max_steps": 1, "per_device_train_batch_size": 1}, "learning_rate": 0.1}
    plain = schema.Arm.model_validate(given).model_dump(mode="json")
    assert "launch" not in plain
    for same in (None, {}, {"num_processes": 1}):
        assert schema.Arm.model_validate({**given, "launch": same}).model_dump(mode="json") == plain
    two = schema.Arm.model_validate({**given, "launch": {"num_processes": 2, "strategy": "fsdp"}})
    assert schema.Arm.model_validate(two.model_dump(mode="json")) == two
    assert two.num_processes == 2


def collate(rows: Any) -> dict[str, Any]:
    return {"input_ids": torch.tensor([row["input_ids"] for row in rows]), "labels": torch.tensor([row["labels"] for row in rows])}


def test_every_rank_takes_its_part_of_a_batch_and_the_parts_weigh_as_much_as_they_hold() -> None:
    rows = [{"input_ids": [number], "labels": number} for number in range(5)]
    parts = [ranks._collate_share(collate, rank, 2, rows) for rank in (0, 1)]
    assert [part["labels"].tolist() for part in parts] == [[0, 2, 4], [1, 3]]
    # the mean over two ranks of 6/5 times a mean of three and 4/5 times a mean of two is the mean of all five
    assert [part["share"] for part in parts] == [1.2, 0.8]
    assert sum(part["share"] * part["labels"].float().mean().item() for part in parts) / 2 == pytest.approx(2.0)


def test_a_rank_for_which_no_row_is_left_takes_part_with_one_that_counts_for_nothing() -> None:
    head = ranks._collate_share(collate, 1, 2, [{"input_ids": [1], "labels": 2}])
    assert (head["input_ids"].tolist(), head["labels"].tolist(), head["share"]) == ([[1]], [2], 0.0)
    tokens = ranks._collate_share(collate, 1, 2, [{"input_ids": [1, 2], "labels": [-100, 2]}])
    assert (tokens["labels"].tolist(), tokens["share"]) == ([[-100, -100]], 0.0)


def test_weights_that_were_trained_in_pieces_are_whole_again_when_they_are_saved(tmp_path: Path) -> None:
    from torch.distributed.fsdp import fully_shard

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Linear(5, 2))
    model[0].requires_grad_(False)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        mesh = torch.distributed.init_device_mesh("cpu", (1,))
        for part in (*model, model):
            fully_shard(part, mesh=mesh)
        model(torch.ones(1, 3))
        ranks.gather_weights(model)
        after = model.state_dict()
    finally:
        torch.distributed.destroy_process_group()
    assert before.keys() == after.keys()
    assert [name for name in after if type(after[name]) is torch.Tensor] == ["1.weight", "1.bias"], "the first layer is frozen"
    assert all(torch.equal(before[name], after[name]) for name in ("1.weight", "1.bias"))


@pytest.mark.parametrize(
    ("num_processes", "steps", "inputs"),
    [
        # 25 examples by 4 are 7 batches, by two of them a step 4 steps, twice; by 8 they are 4 batches, 2 steps; by 16, 2 and 1
        (1, 8, 50),
        (2, 4, 50),
        (4, 2, 50),
    ],
)
def test_the_account_counts_steps_of_the_batch_of_all_devices(num_processes: int, steps: int, inputs: int) -> None:
    training = schema.Training(num_train_epochs=2, per_device_train_batch_size=4, gradient_accumulation_steps=2)
    arm = schema.Arm(training=training, learning_rate=0.1, launch=several(num_processes))
    counts = Counts(total=10, adapter=0, trained=10, trained_adapter=0, saved=10, num_linear_weights=1)
    run = accounting.run(25, schema.Text(max_length=10), arm, counts)
    assert (run["num_steps"], run["num_tokens"]) == (steps, 10 * inputs)


def test_the_account_counts_the_examples_of_all_devices_where_the_length_is_given_in_steps() -> None:
    training = schema.Training(max_steps=3, per_device_train_batch_size=4, gradient_accumulation_steps=2)
    arm = schema.Arm(training=training, learning_rate=0.1, launch=several(2))
    counts = Counts(total=10, adapter=0, trained=10, trained_adapter=0, saved=10, num_linear_weights=1)
    assert accounting.run(25, schema.Text(max_length=10), arm, counts)["num_tokens"] == 3 * 16 * 10
