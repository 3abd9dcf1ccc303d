"""Many interventions in one pass: equal to one at a time, and no block is run more often than it has to be."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from sprachbund.errors import ModelError
from sprachbund.models.architectures import Architecture
from sprachbund_runners.interventions.edits import UnitAffine
from sprachbund_runners.interventions.low_rank import Edit, LowRank
from sprachbund_runners.models.batches import make_batch, tokenise
from sprachbund_runners.models.embed import Variant, embed, embed_variants
from sprachbund_runners.models.hooks import observing, resolve, run_forward
from sprachbund_runners.models.loading import LoadedModel, load
from sprachbund_runners.models.steering import RowVariants, steering, steering_variants
from support.edits import scale, set_to, shift

TOKENS = ("all", "content", "last")


def some_edits(architecture: Architecture, seed: int, blocks: Sequence[int] = (1, 2, 3)) -> list[Edit]:
    """Random edits of every form at random sites and tokens: set, scaled, bounded, shifted, low-rank, whole sites."""
    rng = np.random.default_rng(seed)
    edits: list[Edit] = []
    for block in blocks:
        for site in architecture.sites:
            if rng.random() < 0.5 and edits:
                continue
            tokens = TOKENS[rng.integers(3)]
            k = int(rng.integers(1, site.width + 1)) if rng.random() < 0.8 else site.width
            unit = rng.permutation(site.width)[:k]
            a = rng.choice([0.0, 0.5, 1.0, -1.0], k)
            b = rng.normal(0, 0.5, k)
            bounds = (-0.5, 0.5) if rng.random() < 0.3 else (-np.inf, np.inf)
            edits.append(UnitAffine(site.name, block, unit, a, b, *bounds, tokens=tokens))  # type: ignore[arg-type]
            if rng.random() < 0.4:
                rank = int(rng.integers(0, 3))
                u, v = rng.normal(0, 0.3, (2, site.width, rank))
                edits.append(LowRank(site.name, block, u, v, rng.normal(0, 0.3, site.width), TOKENS[rng.integers(3)]))
    return edits


@contextmanager
def counting_rows(loaded: LoadedModel) -> Iterator[dict[int, int]]:
    """How many rows every block has run, by what its down projection saw."""
    rows = dict.fromkeys(range(1, loaded.architecture.n_blocks + 1), 0)

    def count(block: int) -> Callable[..., None]:
        def hook(_module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
            rows[block] += args[0].shape[0]

        return hook

    site = loaded.architecture.site("mlp.down")
    handles = [resolve(loaded.model, site.module(b)).register_forward_pre_hook(count(b)) for b in rows]
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()


def close(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal to 1e-6 of the largest coordinate."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-6 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_variants_equal_one_at_a_time(loaded: LoadedModel, texts: list[str], budget: int) -> None:
    layers = loaded.architecture.layers
    edits = [some_edits(loaded.architecture, seed) for seed in range(4)]
    edits += [[], some_edits(loaded.architecture, 9, [3]), some_edits(loaded.architecture, 10, [2, 3])]
    found = embed_variants(loaded, texts, layers, [Variant(each) for each in edits], max_tokens_per_batch=budget)
    for each, vectors in zip(edits, found, strict=True):
        expected = embed(loaded, texts, layers, intervention=each, max_tokens_per_batch=budget)
        for layer in layers:
            close(vectors[layer], expected[layer])
        report = vectors.report
        assert (report.n_texts, report.n_tokens) == (expected.report.n_texts, expected.report.n_tokens)
        assert report.n_padded_tokens == expected.report.n_padded_tokens
    unsteered = embed(loaded, texts, layers, max_tokens_per_batch=budget)
    assert all(np.array_equal(found[4][layer], unsteered[layer]) for layer in layers)
    assert np.abs(found[0]["final"] - unsteered["final"]).max() > 1e-3


def test_full_batches_give_the_same_bytes_and_the_same_digest(loaded: LoadedModel) -> None:
    """Eight texts of five words, four to a batch, which is then full for one variant."""
    texts = [" ".join(f"w{(7 * row + 3 * place) % 40}" for place in range(5)) for row in range(8)]
    length = int(tokenise(loaded, texts).lengths.max())
    layers = loaded.architecture.layers
    edits = [some_edits(loaded.architecture, seed, blocks) for seed, blocks in ((1, [1, 2]), (2, [2]), (3, [3]))]
    edits.append([])
    variants = [Variant(each) for each in edits]
    found = embed_variants(loaded, texts, layers, variants, max_tokens_per_batch=4 * length)
    for each, vectors in zip(edits, found, strict=True):
        expected = embed(loaded, texts, layers, intervention=each, max_tokens_per_batch=4 * length)
        assert vectors.report == expected.report
        assert all(vectors[layer].tobytes() == expected[layer].tobytes() for layer in layers)
    smaller = embed_variants(loaded, texts, layers, variants, max_tokens_per_batch=3 * length)
    assert smaller[0].report.digest != found[0].report.digest


def test_what_lies_below_the_first_edit_is_run_once(loaded: LoadedModel, texts: list[str]) -> None:
    firsts = (2, 2, 3, 3, 3)
    variants = [Variant([shift("mlp.down", first, [1], 1.0 + n)]) for n, first in enumerate(firsts)]
    n = len(texts)
    for budget in (1, 10_000):
        with counting_rows(loaded) as rows:
            embed_variants(loaded, texts, ["1", "final"], variants, max_tokens_per_batch=budget)
        assert rows == {1: n, 2: n + 2 * n, 3: 2 * n + 3 * n}
        with counting_rows(loaded) as rows:
            embed_variants(loaded, texts, ["1", "2"], [*variants, Variant([])], max_tokens_per_batch=budget)
        assert rows == {1: n, 2: n + 2 * n, 3: 0}
    with counting_rows(loaded) as rows:
        embed_variants(loaded, texts, ["final"], [Variant([shift("mlp.down", 1, [1], 1.0)]), *variants])
    assert rows == {1: 2 * n, 2: 4 * n, 3: 6 * n}


def test_small_batches_are_filled_with_variants(bloom: LoadedModel, texts: list[str]) -> None:
    sizes: list[int] = []
    handle = bloom.model.get_submodule("h.0.mlp").register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    variants = [Variant([set_to("mlp.up", 1, [n], 1.0)]) for n in range(5)]
    try:
        embed_variants(bloom, texts[:3], ["final"], variants, max_tokens_per_batch=4 * 8 * 13)
    finally:
        handle.remove()
    assert sizes == [8, 7]


def test_each_variant_has_its_own_texts(loaded: LoadedModel, texts: list[str]) -> None:
    """As an intervention that edits every input language differently, two settings at once."""
    layers = ["0", "2", "final"]
    rows = [np.array([0, 3, 5]), np.array([8, 1, 2]), np.array([4, 6, 7, 9]), np.array([3, 1]), np.array([], np.int64)]
    variants = [
        Variant(some_edits(loaded.architecture, 20 + n, [min(3, n + 1)]) if n != 2 else [], each)
        for n, each in enumerate(rows)
    ]
    for budget in (1, 30, 10_000):
        done: list[int] = []
        with counting_rows(loaded) as counted:
            found = embed_variants(loaded, texts, layers, variants, max_tokens_per_batch=budget, progress=done.append)
        assert sum(done) == 12
        assert max(counted.values()) <= 12 + 3
        for variant, vectors in zip(variants, found, strict=True):
            assert variant.rows is not None
            assert all(values.shape == (len(variant.rows), 16) for values in vectors.values())
            if len(variant.rows):
                own = [texts[row] for row in variant.rows]
                expected = embed(loaded, own, layers, intervention=variant.edits, max_tokens_per_batch=budget)
                for layer in layers:
                    close(vectors[layer], expected[layer])


@pytest.mark.parametrize("rows", [[0, 0], [11], [-1]])
def test_rows_that_are_not_there_are_refused(bloom: LoadedModel, texts: list[str], rows: list[int]) -> None:
    with pytest.raises(ModelError, match="rows of a variant: expected numbers below 11, each once"):
        embed_variants(bloom, texts, ["0"], [Variant([], np.array(rows))])


def test_rows_without_an_edit_keep_their_bits(bloom: LoadedModel, texts: list[str]) -> None:
    """Negative zero and NaN in rows, units and tokens that the row's variant leaves alone."""
    batch = make_batch(bloom, tokenise(bloom, texts[:4]), np.arange(4))
    seen: dict[str, torch.Tensor] = {}
    spoiled = torch.randn(4, batch.input_ids.shape[1], 64)
    spoiled[:, 0, ::3] = -0.0
    spoiled[:, 1, ::5] = torch.nan

    def spoil(_module: torch.nn.Module, _args: object, output: torch.Tensor) -> None:
        output.copy_(spoiled)

    variants: list[list[Edit]] = [
        [],
        [set_to("mlp.up", 1, [0, 5, 7], 2.0, "content")],
        [scale("mlp.up", 1, [3], 2.0), shift("mlp.down", 2, [0], 1.0)],
        [shift("mlp.down", 2, [4], 1.0)],
    ]
    rows = RowVariants(bloom.device)
    rows.enter([(0, 1), (1, 1), (2, 1), (3, 1)])
    module = bloom.model.get_submodule("h.0.mlp.dense_h_to_4h")
    first = module.register_forward_hook(spoil)
    try:
        with torch.inference_mode(), steering_variants(bloom, variants, rows, batch.mask):
            last = module.register_forward_hook(lambda _m, _a, output: seen.update(up=output.clone()))
            run_forward(bloom.model, batch.input_ids, batch.attention_mask)
            last.remove()
    finally:
        first.remove()
    expected = spoiled.clone()
    for unit in (0, 5, 7):
        expected[1, : int(batch.lengths[1]), unit] = 2.0
    expected[2, :, 3] = expected[2, :, 3] * 2 + 0
    assert torch.equal(seen["up"].view(torch.int32), expected.view(torch.int32))


def test_low_rank_edits_equal_their_definition(loaded: LoadedModel, texts: list[str]) -> None:
    """Against float64 arithmetic, at every site and every choice of tokens; unit edits act before."""
    batch = make_batch(loaded, tokenise(loaded, texts), np.arange(len(texts)))
    rng = np.random.default_rng(5)
    for number, site in enumerate(loaded.architecture.sites):
        tokens = TOKENS[number % 3]
        u, v = rng.normal(0, 0.3, (2, site.width, 2))
        first = LowRank(site.name, 2, u, v, rng.normal(0, 0.3, site.width), tokens)
        second = LowRank(
            site.name, 2, np.zeros((site.width, 0)), np.zeros((site.width, 0)), np.ones(site.width), tokens
        )
        unit = scale(site.name, 2, [3], 2.0, tokens)
        before, after = (at_site(loaded, batch, 2, site.name, edits) for edits in ([], [first, second, unit]))
        wanted = before.double().numpy()
        scaled = wanted.copy()
        scaled[..., 3] *= 2
        wanted = np.where(batch.mask(tokens).numpy()[..., None], second.apply(first.apply(scaled)), wanted)
        present = batch.mask("all").numpy()
        np.testing.assert_allclose(after.numpy()[present], wanted[present], rtol=1e-5, atol=1e-5)


def at_site(loaded: LoadedModel, batch: object, block: int, site: str, edits: Sequence[Edit]) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    with (
        torch.inference_mode(),
        steering(loaded, edits, batch.mask),  # type: ignore[attr-defined]
        observing(loaded.model, loaded.architecture, [site], lambda _b, _s, x: seen.append(x.clone()), [block]),
    ):
        run_forward(loaded.model, batch.input_ids, batch.attention_mask)  # type: ignore[attr-defined]
    return seen[0]


def test_an_identity_of_low_rank_touches_nothing(bloom: LoadedModel, texts: list[str]) -> None:
    nothing = LowRank("block", 1, np.ones((16, 1)), np.zeros((16, 1)), np.zeros(16))
    plain = embed(bloom, texts, ["1", "final"])
    same = embed(bloom, texts, ["1", "final"], intervention=[nothing])
    assert all(plain[layer].tobytes() == same[layer].tobytes() for layer in plain)


def test_directions_of_another_width_are_refused(bloom: LoadedModel) -> None:
    edit = LowRank("block", 1, np.ones((15, 1)), np.ones((15, 1)), np.zeros(15))
    with pytest.raises(ModelError, match="edit of block in block 1: directions have 15 coordinates, the site has 16"):
        embed(bloom, ["w1"], ["1"], intervention=[edit])


def test_bfloat16_variants_equal_one_at_a_time(model_folder: Callable[[str], object], texts: list[str]) -> None:
    loaded = load(model_folder("llama"), dtype="bfloat16")  # type: ignore[arg-type]
    edits = [some_edits(loaded.architecture, seed, [2, 3]) for seed in range(3)]
    length = int(tokenise(loaded, texts).lengths.max())
    variants = [Variant(each) for each in edits]
    found = embed_variants(loaded, texts, ["1", "final"], variants, max_tokens_per_batch=11 * length)
    for each, vectors in zip(edits, found, strict=True):
        expected = embed(loaded, texts, ["1", "final"], intervention=each, max_tokens_per_batch=11 * length)
        assert all(vectors[layer].tobytes() == expected[layer].tobytes() for layer in expected)


def test_running_out_of_memory_runs_fewer_rows_at_once(loaded: LoadedModel, texts: list[str]) -> None:
    """Block 2 takes at most four texts at once; the variants' rows are told once each all the same."""
    variants = [Variant(some_edits(loaded.architecture, seed, [1 + seed % 3])) for seed in range(5)] + [Variant([])]
    expected = embed_variants(loaded, texts, ["1", "final"], variants, max_tokens_per_batch=10_000)

    def refuse(_module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        if len(args[0]) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")

    handle = resolve(loaded.model, loaded.architecture.site("mlp.down").module(2)).register_forward_pre_hook(refuse)
    done: list[int] = []
    try:
        found = embed_variants(
            loaded, texts, ["1", "final"], variants, max_tokens_per_batch=10_000, progress=done.append
        )
    finally:
        handle.remove()
    assert found[0].report.n_halvings > 0
    assert sum(done) == len(variants) * len(texts)
    for before, after in zip(expected, found, strict=True):
        for layer in before:
            np.testing.assert_allclose(after[layer], before[layer], rtol=1e-5, atol=1e-5)


def test_what_is_not_finite_spoils_its_own_variant_only(bloom: LoadedModel, texts: list[str]) -> None:
    huge = [scale("mlp.up", 2, [1], 3e38), scale("mlp.down", 2, [1], 3e38)]
    fine = [shift("mlp.up", 2, [1], 1.0)]
    found = embed_variants(bloom, texts, ["0", "final"], [Variant([]), Variant(huge), Variant(fine)])
    first = int(np.flatnonzero(~np.isfinite(found[1]["final"]).all(axis=1))[0])
    with pytest.raises(ModelError, match=rf"item {first} at layer final is not finite \(torch.float32; try float32"):
        found[1].of(slice(None))
    assert list(found[0].of(slice(2, 5))) == ["0", "final"]
    close(found[2]["final"], embed(bloom, texts, ["final"], intervention=fine)["final"])
    with pytest.raises(ModelError, match=r"embedding of item \d+ at layer final is not finite"):
        embed(bloom, texts, ["0", "final"], intervention=huge)


def test_the_model_is_put_back_whatever_happens(loaded: LoadedModel, texts: list[str]) -> None:
    def state() -> list[tuple[int, bool]]:
        return [
            (len(module._forward_hooks) + len(module._forward_pre_hooks), "forward" in vars(module))
            for module in loaded.model.modules()
        ]

    before = state()
    variants = [Variant([shift("mlp.down", 2, [1], 1.0)]), Variant([shift("mlp.down", 3, [1], 1.0)])]

    def stop(_: int) -> None:
        assert state() != before
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_variants(loaded, texts, ["final"], variants, progress=stop)
    assert state() == before


def test_declared_models_share_nothing(model_folder: Callable[[str], object], texts: list[str]) -> None:
    """What their blocks hand on beside hidden states is not known."""
    sites = {"mlp.up": "layers.{i}.mlp.dense_h_to_4h", "mlp.down": "layers.{i}.mlp.dense_4h_to_h"}
    declared = {"blocks": "layers.{i}", "sites": sites}
    loaded = load(model_folder("gpt_neox"), declared=declared)  # type: ignore[arg-type]
    variants = [Variant([shift("mlp.down", 2, [1], 1.0 + n)]) for n in range(3)]
    with counting_rows(loaded) as rows:
        found = embed_variants(loaded, texts, ["1", "final"], variants)
    assert set(rows.values()) == {3 * len(texts)}
    for variant, vectors in zip(variants, found, strict=True):
        expected = embed(loaded, texts, ["1", "final"], intervention=variant.edits)
        for layer in expected:
            close(vectors[layer], expected[layer])
