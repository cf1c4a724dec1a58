import pytest
from hydra.errors import HydraException

from ganlab.config import resolvers
from ganlab.config.explain import _line, explain


@pytest.fixture
def told():
    """told("model=dcgn", …): the lines for overrides that Hydra refuses."""
    resolvers.register()

    def lines(*overrides, folder=None, sweep=False):
        return explain(overrides, folder, HydraException("first\nsecond"), sweep).splitlines()

    return lines


def test_every_wrong_override_has_a_line(told):
    lines = told(
        "model=dcgn",
        "seed=3",
        "data=mnst",
        "trainer.max_iteration=5",
        "modle.latent_dim=3",
        "foo",
        "name=[a",
        "+seed=4",
    )
    by_override = {line.partition(": ")[0]: line.partition(": ")[2] for line in lines}
    assert set(by_override) == {
        *("model=dcgn", "data=mnst", "trainer.max_iteration=5", "modle.latent_dim=3", "foo", "name=[a", "+seed=4")
    }
    assert len(lines) == 7
    assert by_override["model=dcgn"].startswith("there is no model named dcgn; nearest: dcgan")
    assert "there are: acgan, ae, cgan, " in by_override["model=dcgn"]
    assert by_override["data=mnst"].startswith("there is no data named mnst; nearest: mnist;")
    assert by_override["trainer.max_iteration=5"].startswith("unknown key; nearest: trainer.max_iterations")
    assert by_override["modle.latent_dim=3"].startswith("unknown key; nearest: model.latent_dim")
    assert by_override["+seed=4"] == "this key is there already; leave the + out"
    assert by_override["foo"].startswith("cannot be read as key=value")
    assert by_override["name=[a"].startswith("cannot be read as key=value")


@pytest.mark.parametrize("override", ["data=5", "trainer=null", "=3", "model=[gan,dcgan]"])
def test_a_refusal_that_names_no_override_is_traced_to_it(told, override):
    (line,) = told("seed=1", override, "model.latent_dim=3")
    assert line.startswith(f"{override}: ")


def test_keys_of_hydra_are_known_too(told):
    assert told("hydra.run.dirr=x") == ["hydra.run.dirr=x: unknown key; nearest: hydra.run.dir"]


def test_an_unknown_key_without_a_near_one(told):
    (line,) = told("zzzzzzz=3")
    assert line.startswith("zzzzzzz=3: unknown key; there are: callbacks, data, hydra, ")


def test_a_key_of_a_group_is_compared_within_the_group(told):
    (line,) = told("data.latent_dims=3")
    assert "model." not in line


def test_an_unknown_option_of_a_nested_group(told):
    (line,) = told("model/networks=mpl")
    assert line == "model/networks=mpl: there is no model/networks named mpl; nearest: mlp; there are: auto, dcgan, mlp"


def test_a_preset_whose_model_is_another_one(told):
    """What Hydra cannot override is a group that the other model does not bring; the preset is there."""
    suits = "chooses model/coders, which model=dcgan does not have; leave one of the two out"
    for preset in ("digits_ae", "claims/code_size"):
        assert told(f"experiment={preset}", "model=dcgan") == [f"experiment={preset}: {suits}"]
        assert told("model=dcgan", f"experiment={preset}") == [f"experiment={preset}: {suits}"]


def test_an_unknown_experiment(told):
    (line,) = told("experiment=rign")
    assert line.startswith("experiment=rign: there is no experiment named rign; nearest: ring")


def test_what_is_not_the_overrides_fault_is_the_first_line_of_the_original(told):
    assert told("seed=3") == ["first"]
    assert told() == ["first"]


def test_options_of_the_users_own_folder_are_known(told, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.yaml").write_text("name: mine\n")
    (line,) = told("data=mein", folder=str(tmp_path))
    assert "nearest: mine" in line
    assert told("data=mine", folder=str(tmp_path)) == ["first"]


@pytest.mark.parametrize(("name", "extra"), [("joblib", "sweeps"), ("slurm", "sweeps"), ("ray", "ray")])
def test_a_sweep_whose_package_is_missing_says_what_to_install(name, extra):
    error = HydraException(f"In 'hydra/config': Could not find 'hydra/launcher/{name}'")
    line, culprit = _line(error, ["seed=1", f"sweep={name}"], ())
    assert culprit == f"sweep={name}" and line.endswith(f"pip install 'ganlab[{extra}]'")


def test_a_sweep_s_lists_are_not_what_is_wrong_with_it(told):
    lines = told("model=gan,lsgan", "seed=range(3)", "trainer.log_evry=5,6", sweep=True)
    assert len(lines) == 1
    assert lines[0].startswith("trainer.log_evry=5: unknown key; nearest: trainer.log_every")
