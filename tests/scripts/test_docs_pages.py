"""What is read of a Markdown page: its commands, files, code and links, and what no rule covers."""

import pytest


def words(read):
    return [(command.line, " ".join(command.words)) for command in read.commands]


def test_commands_are_of_indented_blocks_and_of_shell_fences(page):
    text = """# A page

    python -m ganlab model=gan   # a comment
    # nothing but a comment

    python -m ganlab.sample run=x \\
      count=8

```bash
python3 -m venv .venv && . .venv/bin/activate
```

- an item

    that goes on, and is no command

```text
python -m ganlab shown=only
```
"""
    assert words(page(text)) == [
        (3, "python -m ganlab model=gan"),
        (7, "python -m ganlab.sample run=x count=8"),
        (10, "python3 -m venv .venv"),
        (10, ". .venv/bin/activate"),
    ]


def test_of_a_console_the_lines_after_a_command_are_its_output(page):
    text = "```console\n$ python -m ganlab a=1\nline one\n\nline two …\n$ make test\n```\n"
    first, second = page(text).commands
    assert (first.words, first.output) == (("python", "-m", "ganlab", "a=1"), ("line one", "", "line two …"))
    assert (second.line, second.words, second.output) == (6, ("make", "test"), ())


def test_commands_in_a_sentence_are_marked(page):
    (command,) = page("Then `python benchmarks/quality.py rows=ring` prints it, and `model.r1` is a key.\n").commands
    assert command.inline and command.words == ("python", "benchmarks/quality.py", "rows=ring")


def test_a_title_is_a_file_for_the_commands_after_it(page):
    text = '    make help\n\n```python title="mine.py"\nA = 1\n```\n\n    make lint\n'
    before, after = page(text).commands
    assert before.files == {} and after.files == {"mine.py": "A = 1\n"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```\nanything\n```\n", "page.md:1: fence without a language: give a fence the language"),
        ("\n```rust\nfn\n```\n", "page.md:2: rust: give a fence the language"),
        ("```python\ndef f(:\n```\n", "page.md:1: this python cannot be parsed"),
        ("```yaml\na: [1\n```\n", "page.md:1: this yaml cannot be parsed"),
        ("    python -m ganlab 'open\n", "page.md:1: no shell reads this"),
    ],
)
def test_what_cannot_be_checked_is_a_problem(page, text, problem):
    (told,) = page(text).problems
    assert problem in told


def test_links_to_what_is_not_there_are_told(script, tmp_path):
    (tmp_path / "docs").mkdir()
    other = tmp_path / "docs" / "other.md"
    other.write_text("# Title\n\n## The floors of `src/`\n\n## Over β, and under\n\n```text\n# no heading\n```\n")
    page = tmp_path / "README.md"
    page.write_text(
        "[a](docs/other.md) [b](docs/other.md#the-floors-of-src) [c](docs/other.md#over-β-and-under) [d](https://x.y)\n"
        "![picture](docs/none.png)\n[e](docs/other.md#no-heading)\n[f](#here) and [`code`](docs/gone.md)\n"
        "`[not](a-link.md)` [out](../outside.md)\n\n# Here\n\n    [g](in-code.md)\n"
    )
    (tmp_path.parent / "outside.md").write_text("")
    told = script("docs_pages").link_problems(page, tmp_path, name="README.md")
    assert told == [
        "README.md:2: docs/none.png: there is no such file",
        "README.md:3: docs/other.md#no-heading: there is no such heading",
        "README.md:4: docs/gone.md: there is no such file",
        "README.md:5: ../outside.md: there is no such file",
    ]


def test_keys_and_choices_of_a_sentence_must_be_there(script, page):
    text = """`model.r1=0.1` and `model.codes`, `data=ring|grid`, `optimizer.autoencoder.lr`, `by=recall`
`model.r3=0.1` and `data.num_mode=8`
`data=rings` or `experiment=ring,rign`

    python -m ganlab trainer.not_looked_at_here=1
"""
    told = script("docs_keys").key_problems(page(text))
    assert [line.partition(";")[0] for line in told] == [
        "docs/page.md:2: model.r3=0.1: there is no such key",
        "docs/page.md:2: data.num_mode=8: there is no such key",
        "docs/page.md:3: data=rings: there is no data named rings",
        "docs/page.md:3: experiment=ring,rign: there is no experiment named rign",
    ]
