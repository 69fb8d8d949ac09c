"""What the Trainer does otherwise in one of several processes, the ranks, that train an arm together.

A step is made from the same examples in the same order as in one process whose batch is as large as all of theirs. The Trainer's own
sharding deals out whole batches, fills up an epoch's last ones with examples from its beginning, and takes the means of the ranks for
equally good; here every rank takes its share of each batch, and its loss weighs as much as its share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader  # type: ignore[import-untyped]
from torch.utils.data import DataLoader, Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler

from ftbench import schema

SHARE = "share"  # in a batch: this rank's part of it, as a multiple of an equal one
Row = Mapping[str, Any]


def arguments(launch: schema.Launch | None) -> dict[str, Any]:
    """The Trainer's arguments for an arm's ranks; none for an arm that is trained by one process."""
    if launch is None or launch.num_processes == 1:
        return {}
    if launch.strategy == "fsdp":
        return {"fsdp": True, "fsdp_config": {"version": 2, "auto_wrap_policy": "TRANSFORMER_BASED_WRAP"}}
    return {"ddp_find_unused_parameters": False}


def train_loader(trainer: Any) -> Any:
    """Batches of the size of all ranks' together, in the order of one process, of each the part that is this rank's."""
    args, rows = trainer.args, trainer.train_dataset
    batch_size = args.train_batch_size * args.world_size
    sampler: Any = trainer._get_train_sampler()
    if args.train_sampling_strategy == "group_by_length":
        sampler = _OrderOfTheFirst(LengthGroupedSampler(batch_size * args.gradient_accumulation_steps, dataset=rows), args)
    collate = partial(_collate_share, trainer.data_collator, args.process_index, args.world_size)
    loader: Any = DataLoader(rows, batch_size, sampler=sampler, collate_fn=collate, pin_memory=args.dataloader_pin_memory)
    loader = prepare_data_loader(
        loader, trainer.accelerator.device, num_processes=1, process_index=0, put_on_device=True, use_seedable_sampler=True
    )
    if args.process_index:
        torch.manual_seed(args.seed + args.process_index)  # for dropout; the order of examples has been seeded above, alike in all ranks
    return loader


def _collate_share(collate: Callable[[Sequence[Row]], dict[str, Any]], rank: int, num_ranks: int, rows: Sequence[Row]) -> dict[str, Any]:
    # A rank for which too few rows are left takes part all the same, as the others wait for it, with a row that counts for nothing.
    own = rows[rank::num_ranks]
    batch = collate(own or rows[:1])
    if not own and batch["labels"].ndim > 1:
        batch["labels"].fill_(-100)
    return {**batch, SHARE: num_ranks * len(own) / len(rows)}


class _OrderOfTheFirst(Sampler[int]):
    """The order that the first rank draws, for all: it is drawn from random numbers that dropout uses too, each rank its own."""

    def __init__(self, sampler: Any, args: Any) -> None:
        self.sampler, self.args = sampler, args

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[int]:
        first = self.args.process_index == 0
        order = torch.tensor(list(self.sampler)) if first else torch.empty(len(self), dtype=torch.long)
        return iter(_of_the_first(order, self.args.device).tolist())


def agreed(value: bool, device: torch.device) -> bool:
    """What the first rank says, for all to do the same."""
    return bool(_of_the_first(torch.tensor(int(value)), device))


def totals(values: Sequence[int], device: torch.device) -> list[int]:
    """Sums over all ranks."""
    summed = torch.tensor(values, device=device)
    torch.distributed.all_reduce(summed)
    return summed.tolist()


def _of_the_first(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    values = values.to(device)
    torch.distributed.broadcast(values, src=0)
    return values


def gather_weights(model: torch.nn.Module) -> None:
    """Put whole weights in the place of the trained ones that FSDP holds in pieces, in every rank, so that they can be saved."""
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()  # what the last validation left whole would be cut up again by whoever asks for the weights
    for module in model.modules():
        for name, parameter in list(module._parameters.items()):
            if isinstance(parameter, DTensor) and parameter.requires_grad:
                module._parameters[name] = torch.nn.Parameter(parameter.full_tensor())
