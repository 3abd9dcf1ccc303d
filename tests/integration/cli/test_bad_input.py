"""Whatever a user gets wrong: exit code 2, one line that says what, and nothing queued."""

import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sprachbund.config import hide_password
from sprachbund.spec.reading import read_yaml

Command = Callable[..., Any]
SpecFile = Callable[..., Path]
Rows = Callable[[str], int]


def refused(ran: Any, *said: str) -> None:
    """Exit code 2, nothing on standard output, one line on standard error that says all of `said`."""
    assert ran.code == 2, (ran.out, ran.err)
    assert ran.out == ""
    assert ran.err.startswith("sprachbund: ")
    assert ran.err.count("\n") == 1, ran.err
    assert "Traceback" not in ran.err
    for each in said:
        assert each in ran.err, ran.err


def usage(ran: Any, *said: str) -> None:
    """Exit code 2 and how the command is used."""
    assert ran.code == 2, (ran.out, ran.err)
    assert "Usage: sprachbund" in ran.err
    assert "Traceback" not in ran.err
    for each in said:
        assert each in ran.err, ran.err


EXPERTS: dict[str, Any] = {"method": "experts", "k": 4}

# Fields of the spec that are replaced, and what the message must say.
SPECS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "target unknown to the standard": ({"targets": ["eng_Latin"]}, ("targets", "eng_Latin", "eng_Latn")),
    "language unknown to the standard": ({"languages": ["eng_Latn", "Elbonian"]}, ("languages", "Elbonian")),
    "language not in the corpus": ({"languages": ["eng_Latn", "nld_Latn"]}, ("corpora.test", "nld_Latn")),
    "target not in the corpus": ({"targets": ["nld_Latn"]}, ("nld_Latn",)),
    "misspelt field": ({"langauges": ["eng_Latn"]}, ("unknown field 'langauges'", "did you mean 'languages'")),
    "misspelt field inside": ({"embeddings": {"layer": [1]}}, ("embeddings.layer", "did you mean 'layers'")),
    "misspelt method": ({"interventions": ["expert"]}, ("expert", "did you mean 'experts'")),
    "misspelt control": ({"interventions": [{**EXPERTS, "controls": ["profil x2"]}]}, ("profil", "'profile'")),
    "control without sense": ({"interventions": [{**EXPERTS, "controls": ["profile by two"]}]}, ("profile by two",)),
    "misspelt scorer": ({"experts": {"scorers": "aurocc"}}, ("aurocc", "auroc")),
    "misspelt site": ({"experts": {"sites": ["mlp.upp"]}}, ("mlp.upp", "did you mean 'mlp.up'")),
    "site the model lacks": ({"experts": {"sites": ["mlp.gate"]}}, ("mlp.gate", "mlp.up")),
    "k larger than the units": ({"interventions": [{**EXPERTS, "k": 100_000}]}, ("100000", "k")),
    "k zero": ({"interventions": [{**EXPERTS, "k": 0}]}, ("k is 0",)),
    "k negative": ({"interventions": [{**EXPERTS, "k": -3}]}, ("k is -3",)),
    "k a fraction above one": ({"interventions": [{**EXPERTS, "k": 1.5}]}, ("k is 1.5",)),
    "k a truth": ({"interventions": [{**EXPERTS, "k": True}]}, ("k is a count",)),
    "unknown value": ({"interventions": [{**EXPERTS, "value": "avg"}]}, ("avg", "mean")),
    "block out of range": ({"interventions": [{**EXPERTS, "blocks": [3]}]}, ("blocks", "3", "2")),
    "layer out of range": ({"embeddings": {"layers": [7]}}, ("layer", "7")),
    "layer without sense": ({"embeddings": {"layers": ["last"]}}, ("layer is 'last'", "final")),
    "name with a slash": ({"name": "my/study"}, ("name", "my/study")),
    "resamples too few": ({"statistics": {"resamples": 10}}, ("statistics.resamples", "found 10")),
    "unknown metric": ({"statistics": {"metrics": ["mr"]}}, ("mr", "did you mean 'mrr'")),
    "no model folder": ({"models": {"path": "nowhere/bloom"}}, ("models.0", "nowhere/bloom")),
    "model folder without a model": ({"models": {"path": "."}}, ("models.0", "config.json")),
    "unknown preset": ({"preset": "carefull"}, ("carefull", "did you mean 'careful'")),
    "dtype unknown": ({"models": {"path": "x", "dtype": "float8"}}, ("dtype", "float8")),
    "no corpora": ({"corpora": None}, ("'corpora' is missing",)),
}  # fmt: skip


@pytest.mark.parametrize("case", SPECS)
def test_spec(case: str, sprachbund: Command, spec_file: SpecFile, rows: Rows) -> None:
    fields, said = SPECS[case]
    path = spec_file(**fields)
    for option in ((), ("--dry-run",)):
        refused(sprachbund("submit", path, *option), *said)
    assert rows("jobs") == rows("experiments") == 0


def corpora(experiment: Callable[..., dict[str, Any]], **roles: Any) -> dict[str, Any]:
    return {**experiment()["corpora"], **roles}


def test_corpus_file_is_missing(sprachbund: Command, spec_file: SpecFile, experiment: Any, rows: Rows) -> None:
    source = {**experiment()["corpora"]["test"], "path": "nowhere.csv"}
    path = spec_file(corpora=corpora(experiment, test=source))
    refused(sprachbund("submit", path), "corpora.test", "nowhere.csv")
    assert rows("jobs") == 0


def test_aligned_files_of_unequal_length(root: Path, sprachbund: Command, spec_file: SpecFile, rows: Rows) -> None:
    (root / "eng.txt").write_text("a\nb\nc\n")
    (root / "deu.txt").write_text("a\nb\n")
    source = {"name": "lines", "files": {"eng_Latn": "eng.txt", "deu_Latn": "deu.txt"}}
    path = spec_file(corpora={"test": source}, interventions=["none"], targets=[])
    refused(sprachbund("submit", path), "corpora.test", "eng.txt", "deu.txt", "3", "2")
    assert rows("jobs") == 0


def test_missing_cells_of_a_table_name_the_items(root: Path, sprachbund: Command, spec_file: SpecFile) -> None:
    (root / "holes.csv").write_text("item,eng_Latn,deu_Latn\nfirst,a,b\nsecond,c,\n")
    source = {"name": "holes", "path": "holes.csv", "layout": "wide", "columns": {"item": "item"}}
    path = spec_file(corpora={"test": source}, interventions=["none"], targets=[])
    refused(sprachbund("submit", path), "corpora.test", "deu_Latn", "second")


def test_roles_that_overlap(sprachbund: Command, spec_file: SpecFile, experiment: Any, rows: Rows) -> None:
    roles = experiment()["corpora"]
    path = spec_file(corpora={**roles, "fit": roles["test"]})
    refused(sprachbund("submit", path), "'fit' and 'test'", "30 items", "allow_overlap")
    assert rows("jobs") == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name: [a\n", ("line 2", "YAML")),
        ("name: a\nname: b\n", ("line 2", "YAML", "duplicate key", "name")),
        ("- a\n- b\n", ("expected fields", "list")),
        ("", ("expected fields",)),
        ("name: !!python/object/apply:os.getcwd []\n", ("YAML",)),
        ("\tname: a\n", ("line 1", "YAML")),
    ],
)
def test_yaml(content: str, said: tuple[str, ...], root: Path, sprachbund: Command, rows: Rows) -> None:
    (root / "bad.yaml").write_text(content)
    refused(sprachbund("submit", "bad.yaml"), "bad.yaml", *said)
    assert rows("jobs") == 0


def test_spec_files_that_cannot_be_read(root: Path, sprachbund: Command, spec_file: SpecFile) -> None:
    spec_file()
    refused(sprachbund("submit", "experimnt.yaml"), "no such file", "did you mean 'experiment.yaml'")
    refused(sprachbund("submit", root), "no such file")
    (root / "bytes.yaml").write_bytes(b"name: \xff\xfe")
    refused(sprachbund("submit", "bytes.yaml"), "not UTF-8", "byte 6")


COMMANDS = (
    ("submit", "experiment.yaml"), ("run",), ("status",), ("jobs",), ("show", "x"), ("compare", "x"), ("cancel", "x"),
    ("retry",), ("query", "select 1"), ("db", "upgrade"), ("db", "current"), ("db", "check"), ("sync",), ("ui",),
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_workspace(
    command: tuple[str, ...], tmp_path: Path, sprachbund: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(sprachbund(*command), "no workspace", "sprachbund init")
    assert list(tmp_path.iterdir()) == []


def revise(root: Path, revision: str | None) -> None:
    with closing(sqlite3.connect(root / "sprachbund.db")) as database, database:
        if revision is None:
            database.execute("DROP TABLE alembic_version")
        else:
            database.execute("UPDATE alembic_version SET version_num = ?", [revision])


OPENING = [each for each in COMMANDS if each[0] != "db"]


@pytest.mark.parametrize("command", OPENING, ids=" ".join)
def test_database_at_another_revision(
    command: tuple[str, ...], root: Path, sprachbund: Command, spec_file: SpecFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec_file()
    revise(root, "9999")
    refused(sprachbund(*command), "revision 9999", "does not know", "another version of sprachbund")
    revise(root, None)
    refused(sprachbund(*command), "no tables yet", "sprachbund db upgrade")


def test_database_at_an_older_revision(root: Path, sprachbund: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from sprachbund.db import revisions

    older = revisions.head()
    # As if this program had one revision more than the database.
    monkeypatch.setattr(revisions, "head", lambda: "newer")
    refused(sprachbund("run"), f"revision {older}", "needs newer", "sprachbund db upgrade")
    refused(sprachbund("db", "check"), f"revision {older}", "needs newer")


def test_upgrade_of_an_unknown_revision(root: Path, sprachbund: Command) -> None:
    revise(root, "9999")
    refused(sprachbund("db", "upgrade"), "9999")
    assert sprachbund("db", "current").code == 0


def test_database_is_gone(root: Path, sprachbund: Command) -> None:
    (root / "sprachbund.db").unlink()
    refused(sprachbund("status"), "sprachbund.db", "does not exist")
    assert not (root / "sprachbund.db").exists()


def test_database_is_something_else(root: Path, sprachbund: Command) -> None:
    for each in root.glob("sprachbund.db*"):
        each.unlink()
    (root / "sprachbund.db").write_text("shopping list " * 100)
    refused(sprachbund("status"), "not a SQLite database")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////no/such/folder/file.db",
        "mysql://me:secret@host/base",
        "no url at all",
        "postgresql://me:secret@127.0.0.1:1/base",
        "postgresql://me:sec/ret@127.0.0.1:1/base",
    ],
)
def test_database_url(url: str, root: Path, sprachbund: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPRACHBUND_DATABASE_URL", url)
    ran = sprachbund("status")
    refused(ran, "database")
    assert "secret" not in ran.err
    assert "sec/ret" not in ran.err


@pytest.mark.parametrize(
    "command",
    [("status", "tinny"), ("show", "tinny"), ("compare", "tinny"), ("cancel", "tinny"), ("retry", "tinny"),
     ("jobs", "tinny"), ("sync", "tinny")],
    ids=" ".join,
)  # fmt: skip
def test_unknown_experiment(command: tuple[str, ...], sprachbund: Command, spec_file: SpecFile) -> None:
    refused(sprachbund(*command), "experiment 'tinny'")
    assert sprachbund("submit", spec_file()).code == 0
    refused(sprachbund(*command), "experiment 'tinny'", "did you mean 'tiny'")


QUERIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "unknown view": (("select * from retrieval_result",), ("did you mean 'retrieval_results'",)),
    "unknown column": (("select valeu from retrieval_results",), ("valeu", "did you mean 'value'")),
    "writing": (("delete from jobs",), ("queries only read", "DELETE")),
    "writing behind WITH": (("with x as (select 1) delete from jobs",), ("quer",)),
    "two statements": (("select 1; select 2",), ("one SELECT",)),
    "attach": (("attach 'x.db' as x",), ("queries only read",)),
    "pragma": (("pragma writable_schema = on",), ("queries only read",)),
    "nothing": (("",), ("empty",)),
    "no SQL": (("selec 1",), ("SELEC",)),
    "two forms": (("select 1", "--csv", "--json"), ("--csv, --json and --parquet",)),
    "parameter without value": (("select :a", "--param", "a"), ("--param", "NAME=VALUE")),
    "parameter missing": (("select :a",), ("a",)),
    "no folder for the file": (("select 1 as a", "--parquet", "no/where.parquet"), ("no/where.parquet",)),
    "two columns of one name": (("select 1 as a, 2 as a",), ("'a'",)),
    "too long": (
        ("with recursive n(i) as (select 1 union all select i + 1 from n) select sum(i) from n", "--limit-s", "0.2"),
        ("0.2 s",),
    ),
}


@pytest.mark.parametrize("case", QUERIES)
def test_query(case: str, root: Path, sprachbund: Command) -> None:
    arguments, said = QUERIES[case]
    before = (root / "sprachbund.db").read_bytes()
    refused(sprachbund("query", *arguments), *said)
    assert (root / "sprachbund.db").read_bytes() == before
    assert not (root / "x.db").exists()


OPTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "by": (("compare", "tiny", "--by", "pairs"), ("'pairs'", "did you mean 'pair'")),
    "by nothing": (("compare", "tiny", "--by", ""), ("by",)),
    "layer": (("compare", "tiny", "--layer", "9"), ("layer", "'9'")),
    "metric": (("compare", "tiny", "--metric", "top2"), ("metric", "'top2'", "did you mean 'top5'")),
    "role": (("compare", "tiny", "--role", "fit"), ("role", "'fit'")),
    "role that is not reported": (("compare", "tiny", "--role", "validation"), ("role", "'validation'")),
    "scope": (("compare", "tiny", "--scope", "target"), ("scope", "'target'", "did you mean 'target_query'")),
    "vs": (("compare", "tiny", "--vs", "nothing"), ("setting 'nothing'", "did you mean 'none'")),
    "two forms": (("compare", "tiny", "--json", "--latex"), ("--json", "--latex")),
    "state": (("jobs", "--state", "fialed"), ("--state", "did you mean 'failed'")),
    "kind": (("jobs", "--kind", "snapshots"), ("--kind", "did you mean 'snapshot'")),
    "view": (("views", "retrieval"), ("retrieval", "did you mean 'retrieval_results'")),
    "question": (("questions", "headlines"), ("question 'headlines'", "did you mean 'headline'")),
    "question asked": (("query", "--question", "hardwar"), ("question 'hardwar'", "did you mean 'hardware'")),
    "no parameter": (("query", "--question", "hardware"), ("asks for experiment", "--param experiment=VALUE")),
    "other parameter": (
        ("query", "--question", "hardware", "--param", "experiment=tiny", "--param", "layr=1"),
        ("parameter 'layr'",),
    ),
    "two queries": (("query", "select 1", "--question", "hardware"), ("one SELECT", "--question NAME")),
    "no query": (("query",), ("one SELECT", "--question NAME")),
    "preset": (("presets", "carful"), ("carful", "did you mean 'careful'")),
    "device": (("run", "--device", "gpu"), ("--device", "'gpu'", "cuda")),
    "device number": (("run", "--device", "cuda:99"), ("--device", "'cuda:99'")),
    "device of another sort": (("run", "--device", "meta"), ("--device", "'meta'")),
    "processor number": (("run", "--device", "cpu:1"), ("--device", "'cpu:1'")),
}


def test_options(sprachbund: Command, spec_file: SpecFile, rows: Rows) -> None:
    assert sprachbund("submit", spec_file()).code == 0
    n_jobs = rows("jobs")
    for case, (arguments, said) in OPTIONS.items():
        print(case)
        refused(sprachbund(*arguments), *said)
    assert (rows("jobs"), rows("job_attempts")) == (n_jobs, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nonsense",), "nonsense"),
        (("submit",), "spec"),
        (("submit", "a.yaml", "b.yaml"), "b.yaml"),
        (("status", "--all"), "--all"),
        (("run", "--threads", "many"), "--threads"),
        (("run", "--max-jobs", "0"), "--max-jobs"),
        (("jobs", "--limit", "-1"), "--limit"),
        (("query", "select 1", "--limit-s", "nan"), "--limit-s"),
        (("db", "downgrade"), "downgrade"),
    ],
)
def test_usage(arguments: tuple[str, ...], said: str, root: Path, sprachbund: Command) -> None:
    usage(sprachbund(*arguments), said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[database\n", ("not readable as TOML", "line 1")),
        ("[databse]\nurl = 'x'\n", ("unknown section 'databse'", "did you mean 'database'")),
        ("[database]\nurll = 'x'\n", ("unknown field 'database.urll'", "did you mean 'url'")),
        ("[database]\nurl = 3\n", ("database.url", "expected text")),
        ("[database]\nurl = ''\n", ("database.url", "expected text")),
        ("database = 'x'\n", ("'database' is a section",)),
        ("[mlflow]\ntracking_uri = 'sqlite:///sprachbund.db'\n", ("MLflow needs a database of its own",)),
        ("[artifacts]\nurl = 'nonsense://bucket'\n", ("artifact store", "nonsense")),
    ],
)
def test_configuration(content: str, said: tuple[str, ...], root: Path, sprachbund: Command) -> None:
    (root / "sprachbund.toml").write_text(content)
    refused(sprachbund("status"), *said)
    (root / "sprachbund.toml").write_bytes(b"\xff\xfe")
    refused(sprachbund("status"), "sprachbund.toml", "cannot be read")


def test_init_where_a_file_is(tmp_path: Path, sprachbund: Command) -> None:
    (tmp_path / "taken").write_text("")
    refused(sprachbund("init", tmp_path / "taken"), "taken", "cannot make a workspace")
    refused(sprachbund("init", tmp_path / "taken" / "below"), "cannot make a workspace")


def test_artifact_folder_is_a_file(root: Path, sprachbund: Command, spec_file: SpecFile, rows: Rows) -> None:
    shutil.rmtree(root / "artifacts")
    (root / "artifacts").write_text("")
    refused(sprachbund("submit", spec_file()), "artifacts")
    assert rows("jobs") == 0


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/base", "postgresql://me:***@host/base"),
        ("postgresql://me:s/e@cret@host/base", "postgresql://me:***@host/base"),
        ("postgresql://me@host/base?password=secret&sslmode=disable", "postgresql://me@host/base?password=***&sslmode=disable"),
        ("postgresql://me@host:5432/base", "postgresql://me@host:5432/base"),
        ("s3://bucket/folder", "s3://bucket/folder"),
    ],
)  # fmt: skip
def test_passwords_are_hidden(url: str, shown: str) -> None:
    assert hide_password(url) == shown


@pytest.mark.parametrize("command", ["sync", "ui"])
def test_mlflow_is_not_installed(
    command: str, root: Path, sprachbund: Command, spec_file: SpecFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sprachbund("submit", spec_file()).code == 0
    monkeypatch.delitem(sys.modules, "sprachbund.mirror.backend", raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    refused(sprachbund(command), "mlflow", "sprachbund[mlflow]")


def test_torch_is_not_installed(root: Path, sprachbund: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    refused(sprachbund("run"), "torch", "sprachbund[runner]")


def test_a_model_that_moved_fails_its_jobs_and_says_so_once(
    root: Path, tiny_model: Path, sprachbund: Command, spec_file: SpecFile, rows: Rows
) -> None:
    moved = shutil.copytree(tiny_model, root / "moved")
    path = spec_file(models={"path": "moved"})
    assert sprachbund("submit", path).code == 0
    shutil.rmtree(moved)
    ran = sprachbund("run")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "is not at" in ran.err
    assert "moved" in ran.err
    assert rows("unit_statistics") == 0
    shutil.copytree(tiny_model, moved)
    # Nothing is due: the next run says why, instead of looking as if all was done.
    ran = sprachbund("run")
    assert (ran.code, ran.err) == (0, "")
    assert "sprachbund retry" in ran.out
    assert sprachbund("retry").code == 0
    ran = sprachbund("run")
    assert (ran.code, ran.err) == (0, "")
    assert sprachbund("compare", "tiny").code == 0


def test_yaml_of_the_table_is_what_users_write(spec_file: SpecFile) -> None:
    """The cases above start from an experiment that is right."""
    assert read_yaml(spec_file().read_text(), "x")["name"] == "tiny"
