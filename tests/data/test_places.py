from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import platformdirs
import platformdirs.macos
import platformdirs.unix
import platformdirs.windows
import pytest

from lossodyssey.data import data_folders, find_dataset, places, read_case, split
from lossodyssey.data.catalogue import ENTRIES
from lossodyssey.data.places import cache_folder, making, write_folder

SHARED = Path(os.environ.get("LOSSODYSSEY_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("LOSSODYSSEY_DATA", raising=False)
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "former"))
    return tmp_path / "cache"


@pytest.fixture
def small_phantom(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = places.write_phantom
    monkeypatch.setitem(places.MADE, "phantom", lambda folder: whole(folder, cases=1))


def test_the_argument_beats_the_variable_and_the_cache_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    assert data_folders() == [cache]
    monkeypatch.setenv("LOSSODYSSEY_DATA", str(tmp_path / "variable"))
    assert data_folders() == [tmp_path / "variable", cache]
    assert data_folders(tmp_path / "argument") == [tmp_path / "argument", cache]


def test_the_cache_folder_follows_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setattr(platformdirs, "PlatformDirs", platformdirs.unix.Unix)
    assert places.cache_folder() == Path("/somewhere/lossodyssey")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert places.cache_folder() == Path.home() / ".cache" / "lossodyssey"
    monkeypatch.setattr(platformdirs, "PlatformDirs", platformdirs.macos.MacOS)
    assert places.cache_folder() == Path.home() / "Library" / "Caches" / "lossodyssey"
    monkeypatch.setattr(platformdirs, "PlatformDirs", platformdirs.windows.Windows)
    monkeypatch.setattr(platformdirs.windows, "get_win_folder", lambda name: {"CSIDL_LOCAL_APPDATA": "/local"}[name])
    assert places.cache_folder() == Path("/local/lossodyssey")


@pytest.mark.parametrize(
    ("system", "variables", "former"),
    [
        ("linux", {"XDG_CACHE_HOME": "{home}/xdg"}, "xdg"),
        ("linux", {}, ".cache"),
        ("darwin", {"XDG_CACHE_HOME": "{home}/xdg"}, "Library/Caches"),
        ("win32", {"LOCALAPPDATA": "{home}/local"}, "local"),
    ],
    ids=["a chosen cache", "linux", "darwin", "windows"],
)
def test_sets_in_the_cache_of_earlier_versions_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Any, system: str, variables: dict[str, str], former: str
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "{home}"} | variables).items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    monkeypatch.setattr("sys.platform", system)
    (tmp_path / former / "lossodyssey").mkdir(parents=True)
    folder.root.rename(tmp_path / former / "lossodyssey" / "mine")
    assert data_folders() == [tmp_path / "cache", tmp_path / former / "lossodyssey"]
    assert find_dataset("mine").root == tmp_path / former / "lossodyssey" / "mine"


def test_a_set_is_found_by_name_and_by_path(folder: Any) -> None:
    assert find_dataset("mine", folder.root.parent) == find_dataset(folder.root)


def test_a_known_set_is_found_by_any_of_its_names(folder: Any) -> None:
    known = folder.root.rename(folder.root.with_name("Task04_Hippocampus"))
    for name in ("Task04_Hippocampus", "task04_hippocampus", "Task04", "msd hippocampus"):
        assert find_dataset(name, known.parent).root == known


def test_a_folder_of_the_users_own_beats_the_other_name_of_a_known_set(folder: Any) -> None:
    known = folder.root.rename(folder.root.with_name("Task04_Hippocampus"))
    shutil.copytree(known, known.with_name("hippocampus"))
    shutil.copytree(known, known.with_name("task04"))
    assert find_dataset("task04", known.parent).root == known.with_name("task04")
    assert find_dataset("hippocampus", known.parent).root == known.with_name("hippocampus")


def test_the_phantom_is_made_once(cache: Path, small_phantom: None) -> None:
    made = find_dataset("phantom")
    assert made.root == cache / "phantom"
    before = (cache / "phantom" / "dataset.json").stat().st_mtime_ns
    assert find_dataset("phantom") == made
    assert (cache / "phantom" / "dataset.json").stat().st_mtime_ns == before
    assert [path.name for path in cache.iterdir()] == ["phantom"]


def test_the_phantom_goes_to_the_cache_when_the_data_folder_is_read_only(
    tmp_path: Path, cache: Path, small_phantom: None
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    assert find_dataset("phantom", locked).root == cache / "phantom"
    assert find_dataset("phantom", tmp_path / "free").root == cache / "phantom"
    assert write_folder("other", tmp_path / "free") == tmp_path / "free" / "other"


def test_a_phantom_interrupted_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(folder: Path) -> None:
        folder.mkdir()
        (folder / "dataset.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setitem(places.MADE, "phantom", killed)
    with pytest.raises(KeyboardInterrupt):
        find_dataset("phantom")
    assert not cache.exists()


def test_folders_above_one_that_is_not_made_vanish_too(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="refused"), making(tmp_path / "a" / "b" / "set"):
        raise ValueError("refused")
    assert not (tmp_path / "a").exists()
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="refused"), making(tmp_path / "a" / "b" / "set") as draft:
        (draft.parents[1] / "theirs").touch()
        raise ValueError("refused")
    assert (tmp_path / "a" / "b" / "theirs").exists()


def test_a_folder_made_by_another_process_meanwhile_stays(tmp_path: Path) -> None:
    with making(tmp_path / "set") as draft:
        for path, text in ((draft, "mine"), (tmp_path / "set", "theirs")):
            path.mkdir()
            (path / "file").write_text(text)
    assert (tmp_path / "set" / "file").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["set"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("task04_hipocampus", "did you mean Task04_Hippocampus"),
        ("zzzzzz", "known: ACDC2017, ACDC_ED_small"),
        ("Task09_Spleen", "lossodyssey data fetch Task09_Spleen"),
        ("CHASE_DB1", "get it from https://blogs.kingston"),
        ("../secrets", "no data set '../secrets'"),
    ],
)
def test_a_set_that_is_not_here(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        find_dataset(name, tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_catalogue_names_are_unique_and_archives_have_checksums() -> None:
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        assert bool(entry.archive) == (len(entry.md5) == 32)
        assert entry.licence and entry.reference and entry.classes


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.name != "phantom"], ids=lambda entry: entry.name)
def test_real_sets_are_read(entry: Any) -> None:
    if not (SHARED / entry.name / "dataset.json").is_file():
        pytest.skip(f"{entry.name} is not in {SHARED}")
    dataset = find_dataset(entry.name, SHARED)
    assert len(dataset.classes) == len(entry.classes) + 1
    training, held_out = split(dataset, 0.34)
    assert not {case.group for case in training if case.group} & {case.group for case in held_out}
    for case in (training[0], held_out[-1]):
        volume = read_case(dataset, case)
        assert volume.labels is not None
        assert volume.image.shape == (len(dataset.channels), *volume.labels.shape)
        assert len(volume.spacing) == entry.dims
        assert all(axis < entry.dims for axis in dataset.flip_axes)


def nobody(number: int) -> None:
    raise KeyError(number)


@pytest.mark.parametrize("home", ["~nobody-of-this-name", "~nobody-of-this-name/cache"])
def test_a_machine_without_a_home_folder_still_has_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setattr(places, "cache_folder", cache_folder)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert places.data_folders() == [] and places.data_folders(tmp_path) == [tmp_path]
    with pytest.raises(ValueError, match="LOSSODYSSEY_DATA"):
        places.write_folder("phantom")
    with pytest.raises(ValueError, match="give its whole path"):
        places.data_folders(home)
