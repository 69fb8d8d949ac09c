"""Turn one data set's source into cleaned splits and a card.

Reads the block `<scale>.datasets.<dataset>` of params.yaml and what it names: generators, local files with their sha256, or a hub
repository at a pinned commit. Writes <out>/<split>.parquet for every split and <out>/card.json, all of them or none.
Parameters: source, task, seed, splits (rows per split), files or genres, labels, columns, max_malformed_share.

Evaluation splits stay whole and in order; only train loses rows: those that repeat one another or that an evaluation split holds.

Example: python stages/prepare.py --dataset snli --out data/snli
"""

import argparse
from pathlib import Path

from ftbench import cards, files, grid, params, sampling, sources, splits, stage
from ftbench.errors import UserError


def main(arguments: argparse.Namespace) -> None:
    """Prepare one data set."""
    dataset = grid.dataset(params.read(), arguments.dataset)
    problems = sources.verify(dataset)
    if problems:
        raise UserError(problems)
    # train comes last: it loses what the evaluation splits hold
    own = sorted(sources.own_splits(dataset), key=lambda split: split == "train")
    cut = [split for split in dataset.splits.sizes() if split not in own]
    with files.directory_written_atomically(arguments.out) as folder:
        reads, written, keys = [], [], {}
        held_out: dict[bytes, str] = {}
        for split in own:
            try:
                read = splits.read_split(dataset, split, folder / f".{split}.spool", held_out)
                chosen = sampling.choose(dataset, read, cut if split == "train" else [])
                written += splits.write(read, chosen, folder, dataset.task)
            except UserError as error:  # go on: the other splits' mistakes belong in the same block
                problems += error.problems
                continue
            reads.append(read)
            keys.update({name: read.example_keys()[mask] for name, mask in chosen.items()})
            if split != "train":
                held_out.update({key.tobytes(): split for key in read.example_keys()})
        if problems:
            raise UserError(problems)
        card = cards.card(arguments.dataset, dataset, reads, written, sampling.overlaps(keys))
        files.write_json(folder / "card.json", card)
    print(cards.summary(card))


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--dataset", required=True, help="the name of a block under <scale>.datasets in params.yaml")
    parser.add_argument("--out", required=True, type=Path, help="the folder to write")
    arguments = parser.parse_args()
    stage.run(main, arguments, outs=[arguments.out])
