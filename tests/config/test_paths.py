from pathlib import Path

import ganlab.config.paths as paths


def test_the_folder_holds_the_configuration():
    assert (paths.conf_folder() / "config.yaml").is_file()


def test_the_packaged_folder_comes_first(tmp_path, monkeypatch):
    module = tmp_path / "src" / "ganlab" / "config" / "paths.py"
    monkeypatch.setattr(paths, "__file__", str(module))
    assert paths.conf_folder() == Path(tmp_path / "conf")
    (tmp_path / "src" / "ganlab" / "conf").mkdir(parents=True)
    assert paths.conf_folder() == Path(tmp_path / "src" / "ganlab" / "conf")
