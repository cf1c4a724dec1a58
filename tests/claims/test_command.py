"""`python -m ganlab.claim`: what it is asked, and what it answers before anything is loaded."""

import signal
import subprocess
import sys

import pytest

from ganlab.claims import command
from ganlab.claims.index import CLAIMS
from ganlab.errors import TrainingError


@pytest.fixture
def asked(monkeypatch, tmp_path, capfd):
    """asked("name", "seeds=0"): exit code, output and errors, in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)

    def ask(*words):
        monkeypatch.setattr(sys, "argv", ["ganlab.claim", *words])
        code = 0
        try:
            command.main()
        except SystemExit as end:
            code = end.code
        return (code, *capfd.readouterr())

    return ask


@pytest.mark.parametrize(("words", "code"), [([], 2), (["--help"], 0), (["linear_ae_is_pca", "-h"], 0)])
def test_the_list_has_every_claim_with_its_source(asked, words, code):
    ended, out, err = asked(*words)
    assert (ended, err) == (code, "")
    for claim in CLAIMS.values():
        assert f"\n  {claim.name}\n" in out
        assert claim.source in out
        assert claim.statement in " ".join(out.split())


MISTAKES = [
    (["linear_ae_is_pac"], "linear_ae_is_pac: there is no such claim; nearest: linear_ae_is_pca"),
    (["seeds=0"], "seeds=0: there is no such claim; there are: optimal_discriminator, generator_gradients, "),
    (["linear_ae_is_pca", "seed=0"], "seed=0: unknown key; nearest: seeds"),
    (["linear_ae_is_pca", "seeds"], "seeds: expected key=value; keys: seeds, budget, jobs, output"),
    (["linear_ae_is_pca", "seeds=[]"], "seeds=[]: expected different whole numbers from 0 on, one at least"),
    (["linear_ae_is_pca", "seeds=[0,0]"], "seeds=[0, 0]: expected different whole numbers"),
    (["linear_ae_is_pca", "seeds=-1"], "seeds=[-1]: expected different whole numbers"),
    (["linear_ae_is_pca", "seeds=many"], "seeds"),
    (["linear_ae_is_pca", "seeds=[0.5]"], "seeds"),
    (["linear_ae_is_pca", "budget=0"], "budget=0"),
    (["linear_ae_is_pca", "budget=2"], "budget=2"),
    (["linear_ae_is_pca", "budget=nan"], "budget=nan"),
    (["linear_ae_is_pca", "jobs=0"], "jobs=0"),
    (["linear_ae_is_pca\n\x1b[31m"], "linear_ae_is_pca\\n\\x1b[31m: there is no such claim"),
]


@pytest.mark.parametrize(("words", "line"), MISTAKES, ids=[" ".join(words) for words, _ in MISTAKES])
def test_a_mistake_is_a_line_and_nothing_is_written(asked, tmp_path, words, line):
    code, out, err = asked(*words)
    assert (code, out) == (2, "")
    assert err.startswith(line)
    assert len(err.splitlines()) <= 2 and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_can_be_no_folder_is_a_line(asked, tmp_path):
    (tmp_path / "taken").write_text("kept")
    code, out, err = asked("linear_ae_is_pca", "output=taken")
    assert (code, out) == (2, "")
    assert err == "output=taken: cannot be written (File exists); choose another output\n"
    assert (tmp_path / "taken").read_text() == "kept"


def test_a_run_that_fails_is_a_line_with_its_code(asked, monkeypatch):
    from ganlab.claims import judging

    def judge(claim, options):
        raise TrainingError("run a_seed0 ended with exit code 1")

    monkeypatch.setattr(judging, "judge", judge)
    assert asked("linear_ae_is_pca") == (1, "", "run a_seed0 ended with exit code 1\n")


def test_what_was_asked_for_arrives(asked, monkeypatch):
    from ganlab.claims import judging

    arrived = []
    monkeypatch.setattr(judging, "judge", lambda claim, options: arrived.append((claim, options)))
    asked("code_size", "seeds=[3,1]", "budget=0.5", "jobs=4", "output=here")
    asked("code_size", "seeds=7")
    (claim, options), (_, alone) = arrived
    assert claim is CLAIMS["code_size"]
    assert (options.all_seeds, options.budget, options.jobs, options.output) == ([3, 1], 0.5, 4, "here")
    assert (alone.all_seeds, alone.budget, alone.jobs, alone.output) == ([7], 1.0, None, None)


@pytest.mark.parametrize("words", [["--help"], ["nothing"], ["code_size", "seeds=[1,1]"]])
def test_lists_and_mistakes_are_answered_without_torch(words):
    program = (
        "import sys\nfrom ganlab.claims.command import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'lightning', 'sklearn', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=240)
    assert ended.stderr.splitlines()[-1] == "[]"


def test_what_sigterm_means_to_the_caller_is_put_back(asked, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    meanwhile = []
    monkeypatch.setattr("ganlab.claims.judging.judge", lambda *told: meanwhile.append(signal.getsignal(signal.SIGTERM)))
    asked("linear_ae_is_pca")
    assert signal.getsignal(signal.SIGTERM) is before and meanwhile != [before]
