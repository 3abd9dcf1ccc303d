"""Decoding with a cache, in batches, against the whole pass repeated for every token of one text at a time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sprachbund.errors import ModelError
from sprachbund_runners.generation import decoding
from sprachbund_runners.generation.decoding import decode, encode, end_ids, generate, line_ends, start_id
from sprachbund_runners.generation.sampling import choose, uniforms
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.models.loading import LoadedModel, load
from sprachbund_runners.models.steering import steering

FAMILIES = ("bloom", "gpt2", "llama", "cohere", "gemma2")
LENGTHS = (3, 1, 6, 1, 4)
NEW = 9


@pytest.fixture(scope="module")
def writers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[str], Path]], LoadedModel]:
    loaded: dict[str, LoadedModel] = {}

    def get(family: str, folder: Callable[[str], Path]) -> LoadedModel:
        if family not in loaded:
            loaded[family] = load(folder(family), head=True)
        return loaded[family]

    return get


@pytest.fixture(params=FAMILIES)
def writer(request: pytest.FixtureRequest, writers, model_folder) -> LoadedModel:
    return writers(request.param, model_folder)


@pytest.fixture
def bloom_writer(writers, model_folder) -> LoadedModel:
    return writers("bloom", model_folder)


def prompts() -> list[np.ndarray]:
    drawn = np.random.default_rng(5)
    return [np.array([1, *drawn.integers(4, 40, size=length)]) for length in LENGTHS]


def edits(tokens: str) -> list[UnitAffine]:
    unit = np.arange(0, 12, 2)
    value = np.linspace(-2, 2, len(unit)).astype(np.float32)
    zero, infinite = np.zeros_like(value), np.full_like(value, np.inf)
    return [UnitAffine("mlp.up", 2, unit, zero, value, -infinite, infinite, tokens=tokens)]


def slow(loaded: LoadedModel, prompt: np.ndarray, uniform: np.ndarray | None, changed: list[UnitAffine]) -> list[int]:
    """No cache, no batch, no padding; ends are cut off."""
    ids = prompt.tolist()

    # GPT-2's tokenizer here has no padding token: what other families pad with is text to it.
    special = (1, 2) if loaded.tokenizer.pad_token_id is None else (0, 1, 2)

    def masks(tokens: str) -> torch.Tensor:
        assert tokens == "content"
        return torch.tensor([[each not in special for each in ids]])

    for step in range(NEW):
        with steering(loaded, changed, masks), torch.inference_mode():
            whole = torch.tensor([ids])
            logits = loaded.model(input_ids=whole, attention_mask=torch.ones_like(whole)).logits[:, -1]
        at = torch.empty(0) if uniform is None else torch.from_numpy(uniform[step : step + 1])
        token = int(choose(logits, at, 0 if uniform is None else 1.3, 0.95))
        if token in end_ids(loaded):
            break
        ids.append(token)
    return ids[len(prompt) :]


@pytest.mark.parametrize("tokens", [None, "all", "content"])
@pytest.mark.parametrize("sampled", [False, True])
def test_texts_are_those_of_the_slow_reference(writer: LoadedModel, tokens: str | None, sampled: bool) -> None:
    changed = [] if tokens is None else edits(tokens)
    uniform = uniforms(11, 0, len(LENGTHS), NEW) if sampled else None
    expected = [
        slow(writer, prompt, None if uniform is None else uniform[row], changed) for row, prompt in enumerate(prompts())
    ]
    options = {"max_new_tokens": NEW, "temperature": 1.3 if sampled else 0, "top_p": 0.95, "uniform": uniform}
    for rows_per_batch in (1, 2, 64):
        found = generate(writer, prompts(), edits=changed, rows_per_batch=rows_per_batch, **options)
        assert [ids.tolist() for ids in found.ids] == expected
        assert found.ended.tolist() == [len(ids) < NEW for ids in expected]


def test_edits_change_what_is_written(bloom_writer: LoadedModel) -> None:
    plain = generate(bloom_writer, prompts(), max_new_tokens=NEW, temperature=0)
    for tokens in ("all", "content", "last"):
        changed = generate(bloom_writer, prompts(), max_new_tokens=NEW, temperature=0, edits=edits(tokens))
        assert any((a.shape != b.shape) or (a != b).any() for a, b in zip(plain.ids, changed.ids, strict=True)), tokens
    again = generate(bloom_writer, prompts(), max_new_tokens=NEW, temperature=0)
    assert [ids.tolist() for ids in again.ids] == [ids.tolist() for ids in plain.ids]


@pytest.mark.parametrize("look", [2, 4, NEW, decoding.FEW_LOOKS])
def test_looking_for_ends_seldom_changes_no_text(
    bloom_writer: LoadedModel, monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    """Off the CPU it is looked after 16 tokens whether all have ended; here one text ends at once, others never."""
    first = generate(bloom_writer, prompts(), max_new_tokens=20, temperature=0).ids
    stops = [int(ids[place]) for ids, place in zip(first, (0, 2, 5, 1, 3), strict=True)]
    for stop in ([], stops[:1], stops):
        options = {"max_new_tokens": 20, "uniform": uniforms(3, 0, len(LENGTHS), 20), "stop": stop}
        monkeypatch.setattr(decoding, "LOOKS", {"cpu": 1})
        each = generate(bloom_writer, prompts(), **options)
        monkeypatch.setattr(decoding, "LOOKS", {"cpu": look})
        seldom = generate(bloom_writer, prompts(), **options)
        assert [ids.tolist() for ids in seldom.ids] == [ids.tolist() for ids in each.ids]
        assert seldom.ended.tolist() == each.ended.tolist()
        assert each.ended.any() or not stop
    # All ended within five tokens: looking after each stops there.
    assert each.ended.all() and max(map(len, each.ids)) < 16


def test_last_is_the_newest_token_at_every_step(bloom_writer: LoadedModel) -> None:
    """From the start token alone every token read is the newest: `last` is then `all`."""
    alone = [np.array([1])] * 3
    options = {"max_new_tokens": NEW, "uniform": uniforms(0, 0, 3, NEW)}
    last = generate(bloom_writer, alone, edits=edits("last"), **options)
    everywhere = generate(bloom_writer, alone, edits=edits("all"), **options)
    assert [ids.tolist() for ids in last.ids] == [ids.tolist() for ids in everywhere.ids]
    with pytest.raises(ModelError, match="'first' tokens cannot be generated with"):
        decoding.StepMasks([1], torch.device("cpu"))("first")


def test_same_seed_same_texts_and_more_samples_begin_alike(bloom_writer: LoadedModel) -> None:
    def write(count: int, seed: int) -> list[list[int]]:
        found = generate(
            bloom_writer, [np.array([1])] * count, max_new_tokens=NEW, uniform=uniforms(seed, 0, count, NEW)
        )
        return [ids.tolist() for ids in found.ids]

    assert write(6, 1) == write(6, 1)
    assert write(3, 1) == write(6, 1)[:3]
    assert write(6, 1) != write(6, 2)


def test_other_tokens_may_end_a_text(bloom_writer: LoadedModel) -> None:
    whole = generate(bloom_writer, prompts()[:1], max_new_tokens=NEW, temperature=0).ids[0].tolist()
    cut = generate(bloom_writer, prompts()[:1], max_new_tokens=NEW, temperature=0, stop=[whole[2]])
    assert cut.ids[0].tolist() == whole[: whole.index(whole[2])]
    assert cut.ended.all()


def test_no_prompts(bloom_writer: LoadedModel) -> None:
    found = generate(bloom_writer, [], max_new_tokens=NEW, temperature=0)
    assert found.ids == () and found.ended.shape == (0,)


def test_a_batch_that_does_not_fit_is_halved(bloom_writer: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = generate(bloom_writer, prompts(), max_new_tokens=NEW, temperature=0)
    plain = decoding.choose

    def small_memory(logits, *rest):
        if len(logits) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return plain(logits, *rest)

    monkeypatch.setattr(decoding, "choose", small_memory)
    found = generate(bloom_writer, prompts(), max_new_tokens=NEW, temperature=0)
    assert [ids.tolist() for ids in found.ids] == [ids.tolist() for ids in expected.ids]
    assert found.batch_plan != expected.batch_plan

    def no_memory(*_):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(decoding, "choose", no_memory)
    with pytest.raises(ModelError, match="alone does not fit"):
        generate(bloom_writer, prompts(), max_new_tokens=NEW, temperature=0)


def test_a_prompt_without_room_is_refused(writers, model_folder) -> None:
    gpt2 = writers("gpt2", model_folder)
    with pytest.raises(ModelError, match=r"a prompt of 30 tokens and max_new_tokens 9 .* input of 32 tokens"):
        generate(gpt2, [np.ones(30, dtype=np.int64)], max_new_tokens=NEW, temperature=0)


def test_missing_numbers_are_an_error(bloom_writer: LoadedModel) -> None:
    with pytest.raises(ValueError, match="uniform numbers of shape"):
        generate(bloom_writer, prompts(), max_new_tokens=NEW, uniform=uniforms(0, 0, 2, NEW))


def test_texts_start_with_the_start_token_and_come_back(writer: LoadedModel) -> None:
    ids = encode(writer, "w3 w5")
    assert ids[0] == start_id(writer) == 1
    assert decode(writer, [ids, np.array([], dtype=np.int64)]) == ["w3 w5", ""]
    assert line_ends(writer) == frozenset()


def test_a_nul_never_reaches_the_database(bloom_writer: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(bloom_writer.tokenizer), "batch_decode", lambda *_, **__: ["a\x00b"])
    assert decode(bloom_writer, [np.array([1])]) == ["a�b"]


def test_an_encoder_has_no_head_that_writes(model_folder) -> None:
    with pytest.raises(ModelError, match="'xlm-roberta' is an encoder"):
        load(model_folder("xlm-roberta"), head=True)
    assert not load(model_folder("bloom")).has_head
    assert load(model_folder("bloom"), head=True).has_head
