"""The checker of the pages goes red on what is wrong, and is green on what is right."""

import json

import pytest

GOOD = """# Page

    python -m ganlab model=gan data=ring
    python -m ganlab.sample run=outputs/gan-ring/… count=64
    python -m ganlab model=dcgan data=celeba trainer.devices=2
    make test
    python benchmarks/quality.py rows=ring seeds=0 trainer.threads=1

```console
$ python -m ganlab model=gam
model=gam: there is no model named gam; nearest: gan, …
```
"""


@pytest.fixture
def checked(script, page, tmp_path, monkeypatch):
    """checked(text): problems of a page's commands, and what was done by how."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("GANLAB_CACHE", "")

    def check(text):
        commands = script("docs_check").different(page(text).commands)
        return script("docs_running").check_commands(commands, tmp_path / "scratch", 2)

    return check


def test_a_good_page_is_executed(checked):
    problems, done = checked(GOOD)
    assert problems == []
    assert [line.split("   (")[0] for line in sorted(done["run"])] == [
        "python -m ganlab model=gan data=ring",
        "python -m ganlab.sample run=outputs/gan-ring/… count=64",
    ]
    assert len(done["refused as shown"]) == 1
    assert sorted(line.split("   (")[1] for line in done["composed"]) == [
        "make knows the target)",
        "needs the files of celeba)",
        "takes minutes to hours; its words are known)",
    ]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("python -m ganlab model=gan model.widht=3", "model.widht=3: unknown key"),
        ("python -m ganlab model=gan data=celeba data.atributes=[Male]", "data.atributes"),
        ("python -m ganlab.sample run=outputs/gan-ring/… cont=3", "cont=3: unknown key"),
        ("python -m ganlab.smaple run=outputs/…", "ganlab.smaple: there is no such command"),
        ("uv run ganlab", "uv: no program that this checker knows"),
        ("python train.py", "no command that this checker knows"),
        ("make tset", "No rule to make target"),
        ("pip install 'ganlab[swep]'", "no extra swep"),
        ("python benchmarks/quality.py rwos=ring", "rwos=ring: unknown key"),
        ("python benchmarks/quality.py rows=ring,rign", "rows=ring,rign: rign is not in it"),
        ("python benchmarks/faults.py kils", "kils: nothing in its documentation"),
        ("torchrun --nnods 2 -m ganlab", "nnods"),
        ("srun python -m ganlab model=dcgna", "dcgna"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(script, page, tmp_path, capfd, command, told):
    """Without a fork: what is planned for one command."""
    read = page(f"# Page\n\n    {command}\n")
    (only,) = read.commands
    forms, ganlab = script("docs_forms"), script("docs_ganlab")
    from ganlab.errors import GanlabError

    with pytest.raises((ganlab.Unknown, GanlabError, SystemExit)) as raised:
        planned = forms.plan(only)
        planned.act()
    assert told in str(raised.value) + capfd.readouterr().err


def test_what_is_shown_must_be_what_is_said(checked):
    text = GOOD.replace("nearest: gan, …", "nearest: vae, …").replace("count=64", "cuont=64")
    problems, done = checked(text.replace("    python -m ganlab model=gan data=ring\n", "\n"))
    assert len(problems) == 2 and "refused as shown" not in done
    refused = next(problem for problem in problems if "gam" in problem)
    assert refused.startswith("docs/page.md:10: python -m ganlab model=gam\n  it does not say: model=gam: there is")
    failed = next(problem for problem in problems if "cuont" in problem)
    assert failed.startswith("docs/page.md:4: ") and "cuont=64: unknown key" in failed


def test_the_gallery_must_be_what_its_numbers_give(script, tmp_path):
    check, gallery = script("docs_check"), script("gallery")
    docs = tmp_path / "docs"
    docs.mkdir()
    assert check.gallery_problems(tmp_path) == []
    (docs / "gallery.json").write_text(json.dumps({}))
    gallery.write(docs)
    assert check.gallery_problems(tmp_path) == []
    (docs / "gallery.md").write_text((docs / "gallery.md").read_text() + "fd_digits 0.1\n")
    assert "not what docs/gallery.json gives" in check.gallery_problems(tmp_path)[0]


def test_a_command_of_several_pages_is_run_once(script, page):
    line = "    python -m ganlab model=vae\n"
    text = f"`python -m ganlab model=vae` is\n\n{line}{line}\n`make test`\n"
    commands = script("docs_check").different(page(text).commands)
    assert [(command.typed, command.inline) for command in commands] == [
        ("python -m ganlab model=vae", False),
        ("make test", True),
    ]
