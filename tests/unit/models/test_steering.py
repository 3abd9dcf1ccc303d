from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from sprachbund.errors import ModelError
from sprachbund_runners.interventions import affine
from sprachbund_runners.interventions.edits import UnitAffine, edits_of
from sprachbund_runners.models.batches import Batch, make_batch, tokenise
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.hooks import observing, run_forward
from sprachbund_runners.models.loading import LoadedModel, load
from sprachbund_runners.models.steering import steering
from support.edits import interpolate, scale, set_to, shift


def count_hooks(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def a_batch(loaded: LoadedModel, texts: list[str]) -> Batch:
    return make_batch(loaded, tokenise(loaded, texts), np.arange(len(texts)))


def run(
    loaded: LoadedModel, batch: Batch, edits: Sequence[UnitAffine] = ()
) -> tuple[torch.Tensor, dict[tuple[int, str], torch.Tensor]]:
    """Final hidden state and a copy of every site's activations."""
    seen: dict[tuple[int, str], torch.Tensor] = {}
    architecture = loaded.architecture
    with (
        torch.inference_mode(),
        steering(loaded, edits, batch.mask),
        observing(
            loaded.model,
            architecture,
            architecture.site_names,
            lambda block, site, x: seen.update({(block, site): x.clone()}),
        ),
    ):
        final = run_forward(loaded.model, batch.input_ids, batch.attention_mask)
    assert final is not None
    return final, seen


def test_no_edit_and_identity_edits_equal_the_plain_model_bit_for_bit(loaded: LoadedModel, texts: list[str]) -> None:
    batch = a_batch(loaded, texts)
    with torch.inference_mode():
        plain = run_forward(loaded.model, batch.input_ids, batch.attention_mask)
    assert plain is not None
    identities = [
        interpolate(part.site, part.block, np.arange(part.width), 7.0, 0.0, tokens)
        for part, tokens in zip(
            loaded.architecture.units(loaded.architecture.site_names), ["all", "content", "last"] * 100, strict=False
        )
    ]
    assert all((edit.a == 1).all() and (edit.b == 0).all() for edit in identities)
    for edits in ([], identities):
        with torch.inference_mode(), steering(loaded, edits, batch.mask):
            steered = run_forward(loaded.model, batch.input_ids, batch.attention_mask)
        assert steered is not None
        assert torch.equal(steered.view(torch.int32), plain.view(torch.int32))


def test_an_identity_edit_keeps_the_sign_of_zero(bloom: LoadedModel, texts: list[str]) -> None:
    batch = a_batch(bloom, texts)

    def negative_zero(_module: torch.nn.Module, _args: object, output: torch.Tensor) -> None:
        output[..., 5] = -0.0

    handle = bloom.model.get_submodule("h.0.mlp.dense_h_to_4h").register_forward_hook(negative_zero)
    try:
        _, seen = run(bloom, batch, [scale("mlp.up", 1, [5], 1.0), shift("mlp.up", 1, [6], 1.0)])
    finally:
        handle.remove()
    assert torch.signbit(seen[1, "mlp.up"][..., 5]).all()


@pytest.mark.parametrize("tokens", ["all", "content", "last"])
def test_exactly_the_chosen_units_change_at_exactly_the_chosen_tokens(
    loaded: LoadedModel, texts: list[str], tokens: str
) -> None:
    batch = a_batch(loaded, texts)
    plain_final, plain = run(loaded, batch)
    present, chosen = batch.mask("all"), batch.mask(tokens)
    for site in loaded.architecture.site_names:
        edit = UnitAffine(
            site, 2, np.array([3, 0, 9]), np.array([0.5, 2.0, -1.0]), np.array([1.0, 0.0, 0.25]), tokens=tokens
        )
        steered_final, steered = run(loaded, batch, [edit])
        before, after = plain[2, site], steered[2, site]
        expected = before.clone()
        for unit, a, b in zip(edit.unit.tolist(), edit.a.tolist(), edit.b.tolist(), strict=True):
            expected[..., unit] = torch.where(chosen, a * before[..., unit] + b, before[..., unit])
        assert torch.equal(after[present], expected[present])
        if tokens != "all":
            assert torch.equal(after, expected)
        assert not torch.equal(after[present], before[present])
        assert not torch.equal(steered_final[present], plain_final[present])
        for block, name in plain:
            if block < 2:
                assert torch.equal(plain[block, name], steered[block, name])


def test_bounds_limit_where_an_edit_acts(loaded: LoadedModel, texts: list[str]) -> None:
    batch = a_batch(loaded, texts)
    _, plain = run(loaded, batch)
    before = plain[1, "mlp.up"][..., 4]
    low, high = (float(before.quantile(q)) for q in (0.3, 0.7))
    edit = UnitAffine("mlp.up", 1, np.array([4]), np.array([3.0]), np.array([1.0]), low, high)  # type: ignore[arg-type]
    after = run(loaded, batch, [edit])[1][1, "mlp.up"][..., 4]
    inside = (before >= edit.lo[0].item()) & (before <= edit.hi[0].item())
    assert inside.any() and not inside.all()
    assert torch.equal(after, torch.where(inside, before * 3 + 1, before))


@pytest.mark.parametrize("tracked", [False, True])
def test_whole_sites_inside_bounds_equal_the_definition_bit_for_bit(bloom: LoadedModel, tracked: bool) -> None:
    """Changed where they lie, or by torch where somebody differentiates; also what is not finite, and constants."""
    drawn = torch.Generator().manual_seed(0)
    width = bloom.architecture.site("mlp.up").width
    a, b = torch.randn((2, width), generator=drawn)
    a[:5] = 0.0
    lo, hi = torch.randn(width, generator=drawn) - 1, torch.randn(width, generator=drawn) + 1
    lo[5:9], hi[7:12] = -torch.inf, torch.inf
    before = 2 * torch.randn((3, 7, width), generator=drawn)
    before[0, 0], before[0, 1], before[0, 2], before[1, 1] = torch.nan, torch.inf, -torch.inf, lo
    inside = (before >= lo) & (before <= hi)
    assert inside.any() and not inside.all()
    expected = torch.where(inside, torch.where(a == 0, b, before * a + b), before)
    edit = UnitAffine("mlp.up", 1, np.arange(width), *(column.numpy() for column in (a, b, lo, hi)))  # type: ignore[arg-type]
    module = bloom.model.get_submodule("h.0.mlp.dense_h_to_4h")
    given = torch.zeros((3, 7, bloom.architecture.hidden_size), requires_grad=tracked)
    with torch.set_grad_enabled(tracked), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "forward", lambda hidden: before.clone() + 0 * hidden[..., :1])
        with steering(bloom, [edit]):
            found = module(given)
    assert torch.equal(found.detach().view(torch.int32), expected.view(torch.int32))
    if tracked:
        found.nansum().backward()
        assert given.grad is not None


def test_several_edits_of_one_site_are_one_operation(bloom: LoadedModel, texts: list[str]) -> None:
    batch = a_batch(bloom, texts)
    _, plain = run(bloom, batch)
    edits = [
        set_to("mlp.up", 2, [7], 0.5),
        scale("mlp.up", 2, [1], 2.0),
        shift("mlp.up", 2, [30, 2], 1.0),
        set_to("mlp.up", 2, [11], 4.0, "last"),
    ]
    before = count_hooks(bloom.model)
    with steering(bloom, edits, batch.mask):
        assert count_hooks(bloom.model) == before + 1
    _, steered = run(bloom, batch, edits)
    expected = plain[2, "mlp.up"].clone()
    expected[..., 7] = 0.5
    expected[..., 1] *= 2
    expected[..., [2, 30]] += 1
    expected[..., 11] = torch.where(batch.mask("last"), 4.0, expected[..., 11])
    assert torch.equal(steered[2, "mlp.up"], expected)


def test_constants_replace_even_what_is_not_finite(bloom: LoadedModel, texts: list[str]) -> None:
    batch = a_batch(bloom, texts[:1])

    def spoil(_module: torch.nn.Module, _args: object, output: torch.Tensor) -> None:
        output[..., 5] = float("nan")

    handle = bloom.model.get_submodule("h.0.mlp.dense_h_to_4h").register_forward_hook(spoil)
    try:
        for tokens in ("all", "content"):
            final, _ = run(bloom, batch, [set_to("mlp.up", 1, [5], 0.0, tokens)])
            assert torch.isfinite(final[batch.mask("all")]).all()
    finally:
        handle.remove()


def test_layers_below_the_first_edited_block_equal_the_unsteered_ones(loaded: LoadedModel, texts: list[str]) -> None:
    layers = loaded.architecture.layers
    units = loaded.architecture.units(["mlp.up", "mlp.down"])
    flat = np.array([part.offset + 2 for part in units if part.block >= 2])
    plain = embed(loaded, texts, layers, tokens="all", max_tokens_per_batch=50)
    for tokens in ("all", "content", "last"):
        edits = edits_of(units, flat, affine.set_to(np.full(len(flat), 3.0)), tokens)
        assert len(edits) == 4
        steered = embed(loaded, texts, layers, tokens="all", intervention=edits, max_tokens_per_batch=50)
        for layer in ("0", "1"):
            assert np.array_equal(steered[layer], plain[layer])
        for layer in ("2", "3", "final"):
            assert (np.abs(steered[layer] - plain[layer]).max(axis=1) > 1e-4).all()


def test_steered_embeddings_do_not_depend_on_batches(loaded: LoadedModel, texts: list[str]) -> None:
    edits = [
        set_to("mlp.up", 1, [1, 2], 2.0, "content"),
        scale("block", 2, [0], 1.5, "last"),
        shift("attn.out", 1, [3], 1.0),
    ]
    alone, together = (
        embed(loaded, texts, ["3", "final"], intervention=edits, max_tokens_per_batch=size) for size in (1, 10_000)
    )
    for layer in alone:
        np.testing.assert_allclose(alone[layer], together[layer], rtol=1e-5, atol=1e-5)


def test_an_edit_of_a_block_shows_in_its_layer(loaded: LoadedModel, texts: list[str]) -> None:
    found = embed(loaded, texts, ["2"], intervention=[set_to("block", 2, [6], 9.0)])
    assert (found["2"][:, 6] == 9.0).all()


def test_edits_in_bfloat16_are_computed_in_float32(model_folder: Callable[[str], object], texts: list[str]) -> None:
    loaded = load(model_folder("llama"), dtype="bfloat16")  # type: ignore[arg-type]
    batch = a_batch(loaded, texts)
    _, plain = run(loaded, batch)
    _, steered = run(loaded, batch, [UnitAffine("mlp.up", 1, np.array([2]), np.array([0.3]), np.array([0.1]))])
    before = plain[1, "mlp.up"][..., 2].float()
    expected = (before * np.float32(0.3).item() + np.float32(0.1).item()).to(torch.bfloat16)
    assert torch.equal(steered[1, "mlp.up"][..., 2], expected)


def test_hooks_are_removed_whatever_happens(loaded: LoadedModel, texts: list[str]) -> None:
    before = count_hooks(loaded.model)
    edits = [set_to("mlp.up", 1, [0], 0.0), set_to("mlp.hidden", 2, [0], 0.0, "last")]
    batch = a_batch(loaded, texts)
    with steering(loaded, edits):
        assert count_hooks(loaded.model) == before + 2
    with pytest.raises(KeyboardInterrupt), steering(loaded, edits):
        raise KeyboardInterrupt
    assert count_hooks(loaded.model) == before
    with pytest.raises(ModelError, match=r"need the batch's token masks"), steering(loaded, edits):
        run_forward(loaded.model, batch.input_ids, batch.attention_mask)
    assert count_hooks(loaded.model) == before


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([set_to("mlp.gate", 1, [0], 0.0)], "site 'mlp.gate' does not exist in model type 'bloom'"),
        ([set_to("mlp.up", 4, [0], 0.0)], "block 4 does not exist in model type 'bloom': blocks are 1 … 3"),
        ([set_to("mlp.up", 1, [64], 0.0)], "unit 64 does not exist, units are 0 … 63"),
        (
            [set_to("mlp.up", 1, [3, 4], 0.0), scale("mlp.up", 1, [4], 2.0, "last")],
            "unit 4 of mlp.up in block 1 is changed by two edits",
        ),
    ],
)
def test_edits_the_model_cannot_take_are_refused(bloom: LoadedModel, edits: list[UnitAffine], message: str) -> None:
    before = count_hooks(bloom.model)
    with pytest.raises(ModelError, match=message), steering(bloom, edits):
        pass
    assert count_hooks(bloom.model) == before
