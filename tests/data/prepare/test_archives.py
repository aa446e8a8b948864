"""Hostile and damaged archives: refused before a byte is written, and nothing is left behind."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from lossodyssey.data.prepare import archives
from lossodyssey.data.prepare.archives import unpack
from lossodyssey.data.prepare.sources import open_sources


def zipped(path: Path, members: dict[str, bytes], modes: dict[str, int] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (modes or {}).get(name, 0o100644) << 16
            file.writestr(info, content)
    return path


def tarred(path: Path, members: list[tuple[str, bytes, bytes]]) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as file:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


OUTSIDE = ["../outside", "set/../../outside", "/tmp/outside", "C:outside", "..\\outside", "set\\..\\..\\outside"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_members_outside_the_folder(name: str, kind: str, tmp_path: Path) -> None:
    good = ("set/a.nii", tarfile.REGTYPE, b"good")
    if kind == "zip":
        archive = zipped(tmp_path / "a.zip", {"set/a.nii": b"good", name: b"bad"})
    else:
        archive = tarred(tmp_path / f"a.{kind}", [good, (name, tarfile.REGTYPE, b"bad")])
    with pytest.raises(ValueError, match=r"is not a plain file inside the archive; not unpacked"):
        unpack(archive, tmp_path / "out")
    assert left(tmp_path / "out") == [] and not (tmp_path / "outside").exists()


KINDS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]


@pytest.mark.parametrize("kind", KINDS, ids=["symbolic link", "hard link", "character device", "block device", "pipe"])
def test_links_and_devices_in_a_tar(kind: bytes, tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar", [("set/a.nii", tarfile.REGTYPE, b"good"), ("set/link", kind, b"")])
    with pytest.raises(ValueError, match="member 'set/link' is not a plain file"):
        unpack(archive, tmp_path / "out", wanted=lambda name: name.endswith(".nii"))
    assert left(tmp_path / "out") == []


@pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o600, stat.S_IFIFO | 0o600])
def test_links_and_devices_in_a_zip(mode: int, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"set/link": b"/etc/passwd"}, {"set/link": mode})
    with pytest.raises(ValueError, match="member 'set/link' is not a plain file"):
        unpack(archive, tmp_path / "out")
    assert left(tmp_path / "out") == []


@pytest.mark.parametrize("second", ["set/A.nii", "set/a.nii", "SET/a.NII"])
def test_names_that_differ_in_capitals_only(second: str, tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar", [(name, tarfile.REGTYPE, b"x") for name in ("set/a.nii", second)])
    with pytest.raises(ValueError, match="have one name but for capitals"):
        unpack(archive, tmp_path / "out")
    assert left(tmp_path / "out") == []


def test_an_encrypted_member_is_told(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"set/a.nii": b"secret"})
    content = bytearray(archive.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + place] |= 1
    archive.write_bytes(content)
    with pytest.raises(ValueError, match="is encrypted: unpack it by hand with its password"):
        unpack(archive, tmp_path / "out")
    assert left(tmp_path / "out") == []


def with_claim(archive: Path, size: int) -> Path:
    """Let the last member of a zip claim another size, in its own header and in the list at the end."""
    content = bytearray(archive.read_bytes())
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = content.rindex(signature) + place
        content[start : start + 4] = struct.pack("<I", size)
    archive.write_bytes(content)
    return archive


def test_a_member_that_claims_more_than_it_can_hold(tmp_path: Path) -> None:
    archive = with_claim(zipped(tmp_path / "a.zip", {"set/a.nii": b"x" * 100}), 4_000_000_000)
    with pytest.raises(ValueError, match=r"claims 4,000,000,000 bytes, of which \d+ are in the archive"):
        unpack(archive, tmp_path / "out")
    assert left(tmp_path / "out") == []


def test_a_member_that_holds_more_than_it_claims(tmp_path: Path) -> None:
    archive = with_claim(zipped(tmp_path / "a.zip", {"set/a.nii": b"x" * 5_000_000}), 1000)
    with pytest.raises(ValueError, match=r"a\.zip: (not a whole zip archive|member 'set/a.nii' holds more)"):
        unpack(archive, tmp_path / "out")


def test_members_that_share_their_bytes(tmp_path: Path) -> None:
    """The list of a zip may name the same bytes many times: a bomb of which no member alone is too large."""
    archive = zipped(tmp_path / "a.zip", {"set/a.nii": bytes(1_000_000)})
    content = archive.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    entry = content[start:end]
    entries = b"".join(entry.replace(b"set/a.nii", f"set/{number:05d}"[-9:].encode()) for number in range(2000))
    tail = bytearray(content[end:])
    tail[8:20] = struct.pack("<HHII", 2000, 2000, len(entries), start)
    archive.write_bytes(content[:start] + entries + bytes(tail))
    with pytest.raises(ValueError, match=r"its members claim 2,000,000,000 bytes, but a file of"):
        unpack(archive, tmp_path / "out")
    assert left(tmp_path / "out") == []


def test_a_compressed_tar_that_claims_more_than_it_can_hold(tmp_path: Path) -> None:
    info = tarfile.TarInfo("set/a.nii")
    info.size = 10**12
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(info.tobuf() + bytes(1024))
    with pytest.raises(ValueError, match=r"claim 1,000,000,000,000 bytes|not a whole tar archive"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert left(tmp_path / "out") == []


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    archive = zipped(tmp_path / "a.zip", {f"{number}.nii": b"" for number in range(4)})
    with pytest.raises(ValueError, match="holds 4 members; up to 3 are unpacked"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_disk_that_is_too_small_is_told_before(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage: Any = namedtuple("usage", "total used free")
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage(10, 0, 10))
    archive = (
        zipped(tmp_path / "a.zip", {"a.nii": b"x" * 100})
        if kind == "zip"
        else tarred(tmp_path / "a.tar", [("a.nii", tarfile.REGTYPE, b"x" * 100)])
    )
    with pytest.raises(OSError, match=r"unpacks to 100 bytes, but .* has 10 left"):
        unpack(archive, tmp_path / "out")
    assert left(tmp_path / "out") == []


def test_a_single_compressed_file_is_unpacked_up_to_what_deflate_can_hold(tmp_path: Path) -> None:
    (tmp_path / "volume-0.nii.gz.gz").write_bytes(gzip.compress(b"content"))
    assert unpack(tmp_path / "volume-0.nii.gz.gz", tmp_path / "out") == ["volume-0.nii.gz"]
    assert (tmp_path / "out" / "volume-0.nii.gz").read_bytes() == b"content"


def test_a_single_compressed_file_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "DENSEST", 2)
    (tmp_path / "volume-0.nii.gz.gz").write_bytes(gzip.compress(bytes(10_000_000)))
    with pytest.raises(ValueError, match=r"member 'volume-0.nii.gz' holds more than [\d,]+ bytes"):
        unpack(tmp_path / "volume-0.nii.gz.gz", tmp_path / "out")


@pytest.mark.parametrize("kept", [0.3, 0.9])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "gz"])
def test_an_archive_that_is_cut_short(kind: str, kept: float, tmp_path: Path) -> None:
    noise = bytes(range(256)) * 400
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        zipped(archive, {"a.nii": noise, "b.nii": noise})
    elif kind == "gz":
        archive.write_bytes(gzip.compress(noise))
    else:
        tarred(archive, [(name, tarfile.REGTYPE, noise) for name in ("a.nii", "b.nii")])
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ValueError, match=r"a\.\S+: not a whole (zip|tar|gzip) archive .*download it again"):
        unpack(archive, tmp_path / "out")


def test_only_what_is_needed_is_unpacked_and_the_rest_is_named(tmp_path: Path) -> None:
    members = {"set/a.nii": b"a", "set/b.txt": b"b", "__MACOSX/set/._a.nii": b"junk", "set/._a.nii": b"junk"}
    tree = open_sources([zipped(tmp_path / "a.zip", members)], tmp_path / "out", [r"[^/]*\.nii"], lambda *_: None)
    assert list(tree.files) == ["a.zip/set/a.nii"] and left(tmp_path / "out") == ["000", "a.nii", "set"]
    assert tree.top() == "a.zip/set/a.nii, a.zip/set/b.txt"


def test_an_archive_in_an_archive_is_opened_and_no_deeper(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"volume-2.nii": b"2"})
    middle = zipped(tmp_path / "middle.zip", {"inner.zip": inner.read_bytes(), "volume-10.nii": b"10"})
    outer = zipped(tmp_path / "outer.zip", {"deep/middle.zip": middle.read_bytes(), "volume-1.nii": b"1"})
    tree = open_sources([outer], tmp_path / "out", [r"volume-\d+\.nii"], lambda *_: None)
    assert [match.path.read_bytes() for match in tree.find(r"volume-(\d+)\.nii")] == [b"10", b"1"]
    assert "outer.zip/deep/middle.zip/inner.zip" in tree.left


def test_links_in_a_folder_of_the_user_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.nii").write_bytes(b"a")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    tree = open_sources([tmp_path / "in"], tmp_path / "out", [r".*\.nii"], lambda *_: None)
    assert list(tree.files) == ["in/linked/a.nii"]


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere", "no such file or folder"), ("a.txt", "neither a folder nor an archive")]
)
def test_sources_that_are_none(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        open_sources([tmp_path / name], tmp_path / "out", [".*"], lambda *_: None)
