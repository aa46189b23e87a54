"""Texts to token ids: whole batches at once, kept flat, padded only when a batch is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ptbench import Examples, ModelError

CHUNK = 4096
"""Texts tokenised in one call: enough for all cores, few enough to keep memory small."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of many examples, one after the other in one array."""

    ids: NDArray[np.int32]
    types: NDArray[np.int32] | None
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def batch(self, rows: NDArray[np.intp], pad: int, width: int) -> dict[str, NDArray[np.int64]]:
        """Return the inputs of a model for some rows, padded on the right to a width."""
        places = np.arange(width)
        mask = places < self.lengths[rows, None]
        index = np.where(mask, self.starts[rows, None] + places, 0)
        inputs = {"input_ids": np.where(mask, self.ids[index], pad).astype(np.int64)}
        inputs["attention_mask"] = mask.astype(np.int64)
        if self.types is not None:
            inputs["token_type_ids"] = np.where(mask, self.types[index], 0).astype(np.int64)
        return inputs


@dataclass(slots=True)
class TextReader:
    """What reads examples with the tokenizer of a checkpoint, and counts what it had to change."""

    tokenizer: Any
    max_length: int
    vocabulary: int
    """Rows of the model's table of token vectors."""
    types: bool = False
    """Whether the model takes token types (which text of a pair a token belongs to)."""
    prompt: str = ""
    lower: bool = False
    truncated: int = field(default=0, init=False)
    """Examples that were longer than ``max_length``, since the model was loaded."""
    mended: int = field(default=0, init=False)
    """Texts with half a surrogate pair, which no tokenizer can read: it is read as U+FFFD."""

    @property
    def pad(self) -> int:
        """The id that fills a row; it is masked, so that any id will do where there is none for it."""
        own = (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id)
        return next((int(token) for token in own if token is not None), 0)

    def counts(self) -> dict[str, int]:
        """Return what it had to change, by name; see `ptbench.ModelFacts`."""
        return {"truncated": self.truncated, **({"mended": self.mended} if self.mended else {})}

    def read(self, examples: Examples) -> Tokens:
        """Tokenise the column ``text``, with ``text_pair`` where there is one.

        Raises `ModelError` for a value that is no text.
        """
        if "text" not in examples.columns:
            there = ", ".join(examples.columns) or "none"
            raise ModelError(f"a text model reads the columns text and text_pair; the examples have: {there}")
        lengths: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        ids: list[NDArray[np.int32]] = [np.zeros(0, np.int32)]
        types: list[NDArray[np.int32]] = [np.zeros(0, np.int32)]
        for start in range(0, len(examples), CHUNK):
            rows = range(start, min(start + CHUNK, len(examples)))
            texts = [
                self._texts(examples, name, rows)
                for name in ("text", "text_pair")
                if name in examples.columns
            ]
            encoded = self._encode(texts)
            lengths.append(np.array([len(row) for row in encoded["input_ids"]], np.int64))
            ids.append(np.fromiter(chain.from_iterable(encoded["input_ids"]), np.int32))
            if self.types:
                types.append(np.fromiter(chain.from_iterable(encoded["token_type_ids"]), np.int32))
        length = np.concatenate(lengths)
        flat = np.concatenate(ids)
        if len(flat) and flat.max() >= self.vocabulary:
            raise ModelError(
                f"the tokenizer gives token {flat.max()}, but the model knows {self.vocabulary} tokens: "
                "tokenizer and weights do not belong together"
            )
        return Tokens(flat, np.concatenate(types) if self.types else None, np.cumsum(length) - length, length)

    def _texts(self, examples: Examples, column: str, rows: range) -> list[str]:
        values = examples[column]
        return [self._text(values[i], examples.ids[i], column) for i in rows]

    def _text(self, value: Any, example: str, column: str) -> str:
        if not isinstance(value, str):
            raise ModelError(f"example '{example}': column {column} holds {value!r:.60}, which is no text")
        try:
            value.encode()
        except UnicodeEncodeError:
            self.mended += 1
            value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        text: str = value.lower() if self.lower else value
        return self.prompt + text

    def _encode(self, texts: list[list[str]]) -> dict[str, list[list[int]]]:
        encoded = self._call(texts, self.max_length)
        ids = encoded["input_ids"]
        full = [i for i, row in enumerate(ids) if len(row) == self.max_length]
        if encoded.encodings is not None:  # a fast tokenizer keeps what it cut off
            self.truncated += sum(bool(encoded.encodings[i].overflowing) for i in full)
        elif full:
            longer = self._call([[side[i] for i in full] for side in texts], self.max_length + 1)
            self.truncated += sum(len(row) > self.max_length for row in longer["input_ids"])
        columns = {"input_ids": [row or [self._filler()] for row in ids]}
        if self.types:
            columns["token_type_ids"] = [row or [0] for row in encoded["token_type_ids"]]
        return columns

    def _call(self, texts: list[list[str]], length: int) -> Any:
        return self.tokenizer(
            *texts,
            truncation=True,  # of the longer text of a pair first
            max_length=length,
            padding=False,
            return_attention_mask=False,
            return_token_type_ids=self.types,
        )

    def _filler(self) -> int:
        """The token that an empty text is read as, where the tokenizer adds none of its own.

        Not the one that fills rows: the head of a decoder takes those for no text at all.
        """
        own = (self.tokenizer.eos_token_id, self.tokenizer.bos_token_id)
        found = [int(token) for token in own if token not in (None, self.pad)]
        found += [*self._call([[" "]], 1)["input_ids"][0], *self._call([["."]], 1)["input_ids"][0]]
        if not found:
            raise ModelError("the tokenizer gives no token for an empty text, and has none to stand for it")
        return found[0]
