"""The run's last words."""

from ganlab.tasks import console


def test_three_lines_with_every_score_and_the_path_as_one_would_type_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "x"
    console.say_finished(folder, {"metric/a": {"value": 0.12345}, "metric/b": {"value": 2.0}}, {})
    assert capsys.readouterr().out.splitlines() == [
        "run:    outputs/x",
        "scored: metric/a 0.123, metric/b 2.000",
        "next:   python -m ganlab.sample run=outputs/x  |  tensorboard --logdir outputs/x",
    ]


def test_a_path_elsewhere_is_told_in_full(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert console.relative(tmp_path / "there") == str(tmp_path / "there")


def test_an_interrupted_run_says_how_to_go_on_on_standard_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    console.say_interrupted(tmp_path / "run", 42)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.strip() == "stopped after iteration 42; saved. Go on with: python -m ganlab resume=run"
