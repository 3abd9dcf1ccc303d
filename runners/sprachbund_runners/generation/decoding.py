"""Decoding with a key-value cache: prompts of any length side by side, edits applied to every token read."""

import hashlib
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sprachbund.errors import ModelError
from sprachbund_runners.generation.sampling import choose
from sprachbund_runners.models.batches import is_out_of_memory
from sprachbund_runners.models.host import to_host
from sprachbund_runners.models.loading import LoadedModel
from sprachbund_runners.models.steering import steering

# After how many tokens it is looked whether all texts have ended: a device has to be waited for, and what is written
# past an end is cut off.
LOOKS = {"cpu": 1}
FEW_LOOKS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Generated:
    """What was written after each prompt: token ids without the end token (int64), and whether it came to an end.

    `batch_plan` is a digest of which prompts went through the model together.
    """

    ids: tuple[NDArray[np.int64], ...]
    ended: NDArray[np.bool_]
    batch_plan: str


class StepMasks:
    """Token masks of what the model reads at one step: the prompt, then one token at a time.

    `last` is the newest token: of the prompt its last, later every token as it is read.
    """

    def __init__(self, special: Collection[int], device: torch.device) -> None:
        self._special = torch.tensor(sorted(special), dtype=torch.int64, device=device)
        self._ids = self._present = torch.empty(0)

    def enter(self, ids: torch.Tensor, present: torch.Tensor) -> None:
        self._ids, self._present = ids, present

    def __call__(self, tokens: str) -> torch.Tensor:
        if tokens == "all":
            return self._present
        if tokens == "content":
            return self._present & ~torch.isin(self._ids, self._special)
        if tokens == "last":
            # Prompts are padded on the left: the newest token is always the last column.
            place = torch.arange(self._ids.shape[1], device=self._ids.device)
            return (place == self._ids.shape[1] - 1).expand_as(self._present)
        raise ModelError(f"edits at '{tokens}' tokens cannot be generated with; expected all, content or last")


def start_id(loaded: LoadedModel) -> int:
    """The token every sequence starts with: that for the beginning of a text, or where there is none for its end.

    Raises ModelError for a model that has neither.
    """
    candidates = (
        loaded.tokenizer.bos_token_id,
        loaded.model.config.bos_token_id,
        loaded.tokenizer.eos_token_id,
        loaded.model.config.eos_token_id,
    )
    for candidate in candidates:
        if isinstance(candidate, int):
            return candidate
    raise ModelError("the model has no token for the beginning or the end of a text: nothing to start from")


def end_ids(loaded: LoadedModel) -> frozenset[int]:
    """The tokens that end a text; may be empty."""
    found: set[int] = set()
    for each in (loaded.tokenizer.eos_token_id, loaded.model.config.eos_token_id):
        found.update(each if isinstance(each, list | tuple) else () if each is None else (each,))
    return frozenset(int(each) for each in found)


def special_ids(loaded: LoadedModel) -> frozenset[int]:
    """Tokens that are no text; the token of an unknown character is text."""
    return frozenset(loaded.tokenizer.all_special_ids) - {loaded.tokenizer.unk_token_id}


def line_ends(loaded: LoadedModel) -> frozenset[int]:
    """The tokens that are a line break and nothing else but spaces; may be empty."""
    rows = int(loaded.model.get_input_embeddings().weight.shape[0])
    known = range(min(len(loaded.tokenizer), rows))
    texts = loaded.tokenizer.batch_decode([[each] for each in known], clean_up_tokenization_spaces=False)
    return frozenset(each for each, text in zip(known, texts, strict=True) if "\n" in text and not text.strip())


def encode(loaded: LoadedModel, text: str) -> NDArray[np.int64]:
    """The start token and the text's own tokens, int64; no other special tokens."""
    ids = loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return np.array([start_id(loaded), *ids], dtype=np.int64)


def decode(loaded: LoadedModel, ids: Sequence[NDArray[np.int64]]) -> list[str]:
    """Texts of token ids, special tokens left out; NUL, which databases refuse, becomes U+FFFD."""
    texts = loaded.tokenizer.batch_decode([each.tolist() for each in ids], skip_special_tokens=True)
    return [text.replace("\x00", "�") for text in texts]


def generate(
    loaded: LoadedModel,
    prompts: Sequence[NDArray[np.int64]],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    uniform: NDArray[np.float64] | None = None,
    edits: Sequence[Any] = (),
    stop: Collection[int] = (),
    rows_per_batch: int = 64,
    progress: Callable[[int], None] | None = None,
) -> Generated:
    """Continue each prompt (token ids, the start token included) until an end token or `max_new_tokens`.

    uniform: float64 [n, max_new_tokens], one number per token to draw; needed unless temperature is 0. stop: token ids
    that end a text beside the model's own; none of them is kept. Prompts of like length share a batch, padded on
    the left; batches change results by rounding only, and one that does not fit into memory is halved.

    Raises ModelError for a prompt that leaves no room before the model's limit, and where even one does not fit.
    """
    longest = max((len(prompt) for prompt in prompts), default=0)
    if loaded.max_length is not None and longest + max_new_tokens > loaded.max_length:
        raise ModelError(
            f"a prompt of {longest} tokens and max_new_tokens {max_new_tokens} are more than the model's longest"
            f" input of {loaded.max_length} tokens"
        )
    if temperature > 0 and (uniform is None or uniform.shape != (len(prompts), max_new_tokens)):
        raise ValueError(f"generate: expected uniform numbers of shape {(len(prompts), max_new_tokens)}")
    order = np.argsort([-len(prompt) for prompt in prompts], kind="stable")
    waiting = [order[start : start + rows_per_batch] for start in range(0, len(order), rows_per_batch)]
    found: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)] * len(prompts)
    ended = np.zeros(len(prompts), dtype=np.bool_)
    digest = hashlib.sha256()
    masks = StepMasks(special_ids(loaded), loaded.device)
    draw = _Draw(max_new_tokens, temperature, top_p, end_ids(loaded) | frozenset(stop))
    with steering(loaded, edits, masks), torch.inference_mode():
        while waiting:
            rows = waiting.pop(0)
            numbers = None if uniform is None else torch.from_numpy(uniform[rows]).to(loaded.device)
            try:
                texts = _batch(loaded, [prompts[row] for row in rows], numbers, draw, masks)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                texts = None
            if texts is None:
                if len(rows) == 1:
                    raise ModelError(f"prompt {rows[0]} alone does not fit into the memory of '{loaded.device}'")
                half = (len(rows) + 1) // 2
                waiting = [rows[:half], rows[half:], *waiting]
                continue
            for row, (ids, over) in zip(rows, texts, strict=True):
                found[row], ended[row] = ids, over
            digest.update(np.array([len(rows), *rows], dtype="<i8").tobytes())
            if progress is not None:
                progress(len(rows))
    return Generated(tuple(found), ended, digest.hexdigest()[:40])


@dataclass(frozen=True, slots=True)
class _Draw:
    max_new_tokens: int
    temperature: float
    top_p: float
    stop: frozenset[int]


def _batch(
    loaded: LoadedModel,
    prompts: Sequence[NDArray[np.int64]],
    numbers: torch.Tensor | None,
    draw: _Draw,
    masks: StepMasks,
) -> list[tuple[NDArray[np.int64], bool]]:
    """One batch from its prompts to its ends."""
    written: list[torch.Tensor] = []
    over = torch.zeros(len(prompts), dtype=torch.bool, device=loaded.device)
    stop = torch.tensor(sorted(draw.stop), dtype=torch.int64, device=loaded.device)
    look = LOOKS.get(loaded.device.type, FEW_LOOKS)
    steps = _steps(loaded, prompts, masks)
    logits = next(steps)
    for step in range(draw.max_new_tokens):
        uniform = torch.empty(0) if numbers is None else numbers[:, step]
        token = choose(logits, uniform, draw.temperature, draw.top_p)
        written.append(token)
        over |= torch.isin(token, stop)
        if step == draw.max_new_tokens - 1 or (step % look == look - 1 and to_host([over])[0].all()):
            break
        logits = steps.send(token)
    (ids,) = to_host([torch.stack(written, dim=1)])
    texts = []
    for row in ids:
        ends = np.flatnonzero(np.isin(row, list(draw.stop)))
        texts.append((row[: ends[0]] if len(ends) else row, bool(len(ends))))
    return texts


def _steps(
    loaded: LoadedModel, prompts: Sequence[NDArray[np.int64]], masks: StepMasks
) -> Generator[torch.Tensor, torch.Tensor, None]:
    """Yields next-token logits [B, V]: of the prompts first, then after every token sent to it."""
    length = max(len(prompt) for prompt in prompts)
    padded = np.full((len(prompts), length), loaded.pad_id, dtype=np.int64)
    mask = np.zeros((len(prompts), length), dtype=np.int64)
    for row, prompt in enumerate(prompts):
        padded[row, length - len(prompt) :] = prompt
        mask[row, length - len(prompt) :] = 1
    ids, present = torch.from_numpy(padded).to(loaded.device), torch.from_numpy(mask).to(loaded.device)
    accepted = signature(loaded.model.forward).parameters
    cache = None
    new = present
    while True:
        positions = (present.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        options: Mapping[str, Any] = {"position_ids": positions, "logits_to_keep": 1}
        masks.enter(ids, new.bool())
        output = loaded.model(
            input_ids=ids,
            attention_mask=present,
            past_key_values=cache,
            use_cache=True,
            **{name: value for name, value in options.items() if name in accepted},
        )
        cache = output.past_key_values
        token = yield output.logits[:, -1]
        ids = token.unsqueeze(1)
        new = torch.ones_like(ids)
        present = torch.cat([present, new], dim=1)
