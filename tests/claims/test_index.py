"""The list of claims and the experiments that there are, one for one."""

import ast
from pathlib import Path

import ganlab.claims
from ganlab.claims.index import CLAIMS
from ganlab.config.paths import conf_folder

SOURCE = Path(ganlab.claims.__file__).parent
HERE = Path(__file__).parent


def investigates(path):
    """Whether a module has a function `investigate(lab)`."""
    nodes = ast.parse(path.read_text()).body
    return any(isinstance(node, ast.FunctionDef) and node.name == "investigate" for node in nodes)


def experiments():
    return {path.stem for path in SOURCE.glob("*.py") if investigates(path)}


def test_every_claim_has_its_experiment_and_every_experiment_its_claim():
    assert experiments() == set(CLAIMS)


def test_every_experiment_has_its_test():
    assert {name for name in CLAIMS if not (HERE / f"test_{name}.py").exists()} == set()


def test_configurations_of_claims_are_named_after_them():
    found = {path.stem for path in (conf_folder() / "experiment" / "claims").glob("*.yaml")}
    assert found - set(CLAIMS) == set()


def test_configurations_tell_the_command_that_uses_them():
    for path in (conf_folder() / "experiment" / "claims").glob("*.yaml"):
        assert f"python -m ganlab.claim {path.stem}\n" in path.read_text()


def test_names_and_sentences():
    for name, claim in CLAIMS.items():
        assert claim.name == name and name.isidentifier()
        assert claim.statement.endswith(".") and claim.source
