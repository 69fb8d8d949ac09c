"""Batches for pretraining the miniatures, from whole-corpus tensors: masked sentences for encoders, packed blocks for decoders.

Everything follows from a seed. Decoders see documents one after the other, separated by a line break and never by end-of-sequence, so that
a base does not learn to stop by habit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

MASKED_SHARE = 0.20
MASKED_SHARE_TOLD = 0.50  # in a second sentence that can be told from the first
TOLD_KINDS = ("restatement", "comment")
IGNORED = -100
GROUP = 32  # batches sorted by length together
_LINE_END = re.compile(r"\n+")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids [batch, length], the mask of real tokens (None if all are) and targets [batch, length], IGNORED where none is due."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor | None
    targets: torch.Tensor


def sentences(text: str) -> list[str]:
    """A document as the two segments that an encoder sees: its first line, or else its first sentence, and the rest if any."""
    text = text.strip()
    return (_LINE_END if "\n" in text else _SENTENCE_END).split(text, maxsplit=1)


# ---- masked objective ----


@dataclass(frozen=True, slots=True)
class MaskedCorpus:
    """Encoded documents: `rows` of token ids and, of the same lengths, the `shares` of each position that masking may take."""

    rows: list[torch.Tensor]
    shares: list[torch.Tensor]
    mask_id: int
    pad_id: int
    vocab_size: int
    num_specials: int


def encode_masked(tokenizer: Any, texts: Sequence[str], kinds: Sequence[str], max_length: int) -> MaskedCorpus:
    """Encode documents as one segment or, as a pair of sentences is encoded in fine-tuning, as two; cut at `max_length` tokens.

    Masking takes 0.20 of the tokens, 0.50 in the second segment of a document of TOLD_KINDS, and never a special token.
    """
    rows: list[torch.Tensor] = []
    shares: list[torch.Tensor] = []
    inputs = [tuple(parts) if len(parts) == 2 else parts[0] for parts in map(sentences, texts)]
    encodings = tokenizer.backend_tokenizer.encode_batch(inputs)
    for encoding, kind in zip(encodings, kinds, strict=True):
        second = MASKED_SHARE_TOLD if kind in TOLD_KINDS else MASKED_SHARE
        by_segment = (MASKED_SHARE, second)
        share = [0.0 if segment is None else by_segment[segment] for segment in encoding.sequence_ids]
        rows.append(torch.tensor(encoding.ids[:max_length], dtype=torch.int32))
        shares.append(torch.tensor(share[:max_length], dtype=torch.float32))
    num_specials = len(tokenizer.all_special_ids)
    return MaskedCorpus(rows, shares, tokenizer.mask_token_id, tokenizer.pad_token_id, len(tokenizer), num_specials)


def mask(ids: torch.Tensor, shares: torch.Tensor, corpus: MaskedCorpus, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Masked inputs and targets for ids and shares [batch, length]: of what is taken, 8 in 10 become the mask, 1 in 10 another token."""
    draws = torch.rand(3, *ids.shape, generator=generator)
    taken = draws[0] < shares
    targets = torch.where(taken, ids, IGNORED)
    ordinary = corpus.num_specials + (draws[2] * (corpus.vocab_size - corpus.num_specials)).long()
    replaced = torch.where(draws[1] < 0.8, corpus.mask_id, torch.where(draws[1] < 0.9, ordinary, ids))
    return torch.where(taken, replaced, ids), targets


def padded(corpus: MaskedCorpus, picked: Sequence[int], generator: torch.Generator) -> Batch:
    """The picked documents, padded to the longest of them and masked."""
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad([corpus.rows[index] for index in picked], batch_first=True, padding_value=corpus.pad_id).long()
    shares = pad([corpus.shares[index] for index in picked], batch_first=True)
    inputs, targets = mask(ids, shares, corpus, generator)
    real = ids != corpus.pad_id
    return Batch(inputs, None if bool(real.all()) else real.long(), targets)


def masked_batches(corpus: MaskedCorpus, batch_size: int, seed: int) -> Iterator[Batch]:
    """Endless batches of documents of about equal length, in another order and with other masks every time round."""
    generator = torch.Generator().manual_seed(seed)
    lengths = [len(row) for row in corpus.rows]
    while True:
        order = torch.randperm(len(lengths), generator=generator).tolist()
        for start in range(0, len(order), GROUP * batch_size):
            group = sorted(order[start : start + GROUP * batch_size], key=lengths.__getitem__)
            batches = [group[first : first + batch_size] for first in range(0, len(group), batch_size)]
            for index in torch.randperm(len(batches), generator=generator).tolist():
                yield padded(corpus, batches[index], generator)


# ---- causal objective ----


def encode_causal(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The token ids of each document and the line break after it, without any special token."""
    encodings = tokenizer.backend_tokenizer.encode_batch([text.strip() + "\n" for text in texts], add_special_tokens=False)
    return [encoding.ids for encoding in encodings]


def pack(documents: Iterable[Sequence[int]], block_size: int, prefix: Sequence[int] = ()) -> Iterator[list[int]]:
    """Blocks of exactly `block_size` tokens (`prefix` included), each of which starts where a document starts.

    The document that the end of a block cuts opens the next block again, whole; one that is longer than a block is split first. What
    does not fill a last block is left out.
    """
    room = block_size - len(prefix)
    block = list(prefix)
    for document in documents:
        for start in range(0, len(document), room):
            piece = document[start : start + room]
            if len(block) + len(piece) > block_size:
                yield block + list(piece[: block_size - len(block)])
                block = list(prefix)
            block.extend(piece)
            if len(block) == block_size:
                yield block
                block = list(prefix)


def causal(blocks: Sequence[Sequence[int]]) -> Batch:
    """Blocks of equal length, in which each token's target is the next one."""
    ids = torch.tensor(blocks, dtype=torch.long)
    targets = torch.full_like(ids, IGNORED)
    targets[:, :-1] = ids[:, 1:]
    return Batch(ids, None, targets)


def causal_batches(
    documents: Sequence[Sequence[int]], batch_size: int, block_size: int, prefix: Sequence[int], seed: int
) -> Iterator[Batch]:
    """Endless batches of packed blocks; the documents' order changes every time round."""
    generator = torch.Generator().manual_seed(seed)

    def endless() -> Iterator[Sequence[int]]:
        while True:
            for index in torch.randperm(len(documents), generator=generator).tolist():
                yield documents[index]

    blocks = pack(endless(), block_size, prefix)
    while True:
        yield causal([next(blocks) for _ in range(batch_size)])
