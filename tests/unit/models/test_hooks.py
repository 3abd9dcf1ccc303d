from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sprachbund.errors import ModelError
from sprachbund_runners.models.batches import make_batch, tokenise
from sprachbund_runners.models.embed import embed
from sprachbund_runners.models.hooks import observing, observing_layers, resolve, run_forward
from sprachbund_runners.models.loading import LoadedModel, load


def count_hooks(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_every_site_gives_one_vector_per_token(loaded: LoadedModel, texts: list[str]) -> None:
    batch = make_batch(loaded, tokenise(loaded, texts), np.arange(4))
    seen: dict[tuple[int, str], tuple[int, ...]] = {}
    architecture = loaded.architecture
    with (
        torch.inference_mode(),
        observing(
            loaded.model,
            architecture,
            architecture.site_names,
            lambda block, site, values: seen.update({(block, site): tuple(values.shape)}),
        ),
    ):
        run_forward(loaded.model, batch.input_ids, batch.attention_mask)
    expected = {
        (part.block, part.site): (*batch.input_ids.shape, part.width)
        for part in architecture.units(architecture.site_names)
    }
    assert seen == expected
    assert ("mlp.gate" in architecture.site_names) == (architecture.family in ("llama", "cohere"))


def test_sites_are_what_their_names_say(loaded: LoadedModel, texts: list[str]) -> None:
    """mlp.down is the down projection of mlp.hidden, and mlp.hidden the activation of mlp.up (times the gate)."""
    batch = make_batch(loaded, tokenise(loaded, texts), np.arange(4))
    seen: dict[tuple[int, str], torch.Tensor] = {}
    architecture = loaded.architecture
    names = architecture.site_names
    with (
        torch.inference_mode(),
        observing(loaded.model, architecture, names, lambda block, site, x: seen.update({(block, site): x.clone()})),
    ):
        run_forward(loaded.model, batch.input_ids, batch.attention_mask)
        for block in range(1, architecture.n_blocks + 1):
            down = resolve(loaded.model, architecture.site("mlp.down").module(block))
            assert torch.equal(down(seen[block, "mlp.hidden"]), seen[block, "mlp.down"])
            up = seen[block, "mlp.up"]
            if "mlp.gate" in names:
                activation = (
                    torch.nn.functional.gelu if architecture.model_type == "gemma2" else torch.nn.functional.silu
                )
                how = {"approximate": "tanh"} if architecture.model_type == "gemma2" else {}
                expected = activation(seen[block, "mlp.gate"], **how) * up
            else:
                tanh = architecture.model_type in ("bloom", "gpt2")
                expected = torch.nn.functional.gelu(up, approximate="tanh" if tanh else "none")
            torch.testing.assert_close(seen[block, "mlp.hidden"], expected, rtol=1e-5, atol=1e-6)


def test_layers_equal_the_hidden_states_of_transformers(loaded: LoadedModel, texts: list[str]) -> None:
    batch = make_batch(loaded, tokenise(loaded, texts), np.arange(len(texts)))
    architecture = loaded.architecture
    found: dict[str, torch.Tensor] = {}
    with torch.inference_mode():
        reference = loaded.model(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, output_hidden_states=True
        )
        with observing_layers(
            loaded.model, architecture, architecture.layers, lambda layer, x: found.update({layer: x.clone()})
        ):
            final = run_forward(loaded.model, batch.input_ids, batch.attention_mask)
    assert final is not None
    assert list(found) == [*map(str, range(architecture.n_blocks + 1))]
    for index in range(architecture.n_blocks):
        assert torch.equal(found[str(index)], reference.hidden_states[index])
    assert torch.equal(final, reference.hidden_states[-1])
    assert torch.equal(final, reference.last_hidden_state)
    has_final_norm = architecture.family not in ("bert", "roberta")
    assert torch.equal(found[str(architecture.n_blocks)], final) != has_final_norm


@pytest.mark.parametrize(("layers", "blocks_run"), [(["0"], 0), (["0", "2"], 2), (["1", "final"], 3)])
def test_the_pass_ends_at_the_deepest_layer(
    bloom: LoadedModel, texts: list[str], layers: list[str], blocks_run: int
) -> None:
    ran: list[int] = []
    handles = [
        resolve(bloom.model, f"h.{block}").register_forward_hook(lambda *_, block=block: ran.append(block))
        for block in range(3)
    ]
    try:
        found = embed(bloom, texts[:2], layers)
    finally:
        for handle in handles:
            handle.remove()
    assert ran == list(range(blocks_run))
    everything = embed(bloom, texts[:2], bloom.architecture.layers)
    for layer in layers:
        assert np.array_equal(found[layer], everything[layer])


def test_hooks_are_removed_after_exceptions(loaded: LoadedModel, texts: list[str]) -> None:
    before = count_hooks(loaded.model)

    def fail(*_: object) -> None:
        raise RuntimeError("from the callback")

    batch = make_batch(loaded, tokenise(loaded, texts), np.arange(2))
    for enter in (
        lambda: observing(loaded.model, loaded.architecture, ["mlp.hidden", "block"], fail),
        lambda: observing_layers(loaded.model, loaded.architecture, ["0", "1", "final"], fail),
    ):
        with enter():
            assert count_hooks(loaded.model) > before
        assert count_hooks(loaded.model) == before
        with pytest.raises(RuntimeError, match=r"from the callback"), enter():
            run_forward(loaded.model, batch.input_ids, batch.attention_mask)
        assert count_hooks(loaded.model) == before


def test_a_missing_gate_names_the_sites_there_are(load_family: Callable[[str], LoadedModel]) -> None:
    gpt2 = load_family("gpt2")
    with (
        pytest.raises(ModelError, match=r"'mlp.gate' does not exist in model type 'gpt2' \(its MLP has no gate\)"),
        observing(gpt2.model, gpt2.architecture, ["mlp.gate"], lambda *_: None),
    ):
        pass


def test_a_real_model_and_tokenizer(shared: Path) -> None:
    """Real Bloom weights and byte-level tokens, against a plain transformers pass per text."""
    loaded = load(shared / "models" / "bible-bloom")
    texts = [
        "In the beginning God created the heaven and the earth.",
        "Jesus wept.",
        "はじめに神は天と地とを創造された。",
    ]
    found = embed(loaded, texts, loaded.architecture.layers, tokens="all")
    for row, text in enumerate(texts):
        ids = torch.tensor([loaded.tokenizer(text)["input_ids"]])
        with torch.inference_mode():
            states = loaded.model(input_ids=ids, output_hidden_states=True).hidden_states
        for layer, state in zip(("0", "1", "2", "3", "4", "5", "final"), states, strict=True):
            np.testing.assert_allclose(found[layer][row], state[0].mean(dim=0).numpy(), rtol=1e-4, atol=1e-5)
