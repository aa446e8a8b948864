"""From the bytes of a file to its text: compression, encoding, and files that hold no text."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from pathlib import Path

PACKED = ((b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress), (b"\xfd7zXZ\x00", lzma.decompress))
MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
)  # fmt: skip
WORKBOOKS = (b"\xd0\xcf\x11\xe0", b"PK\x03\x04")
BROKEN = (UnicodeDecodeError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile)
CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")


def read_text(path: Path) -> tuple[str, list[str]]:
    """Return the text of a table's file, unpacked, and notes on its encoding.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is a folder, a workbook, or another file that does not hold text.
    """
    if path.is_dir():
        found = sorted(file.name for file in path.iterdir() if file.suffix == ".csv")
        hint = f"it holds {', '.join(found[:5])}" if found else "it holds no .csv file"
        raise ValueError(f"{path}: a folder; expected a table, such as {path / 'cases.csv'} ({hint})")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; expected a CSV table with the scores of several losses")
    try:
        return _decode(path, _unpack(path, path.read_bytes()))
    except BROKEN as error:
        raise ValueError(f"{path}: not a CSV table ({error})") from None


def _unpack(path: Path, data: bytes) -> bytes:
    # By the first bytes, not by the name: people rename files.
    for mark, unpack in PACKED:
        if data.startswith(mark):
            return unpack(data)
    if data.startswith(WORKBOOKS[0]):
        raise ValueError(f"{path}: an Office document, not a CSV table; save the sheet as CSV")
    return _unzip(path, data) if data.startswith(WORKBOOKS[1]) else data


def _unzip(path: Path, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
        # Excel's and OpenDocument's files are zip archives, too.
        if any(name.startswith(("xl/", "content.xml")) for name in names):
            raise ValueError(f"{path}: a workbook, not a CSV table; save the sheet as CSV")
        if len(names) != 1:
            raise ValueError(f"{path}: an archive of {len(names)} files {names[:5]}; expected one table; unpack it")
        return archive.read(names[0])


def _decode(path: Path, data: bytes) -> tuple[str, list[str]]:
    # The mark of UTF-32 begins with that of UTF-16, so it stands first in the list.
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "") or _unmarked(data)
    text = data.decode(encoding)
    control = CONTROLS.search(text)
    if control:
        raise ValueError(f"{path}: not a CSV table (byte {ord(control[0]):#04x} at {control.start()}: a binary file?)")
    note = f"{path}: not in UTF-8; read as {'Latin-1' if encoding == 'latin-1' else 'Windows-1252'}"
    text = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return text, [note] if encoding in ("cp1252", "latin-1") else []


def _unmarked(data: bytes) -> str:
    """Choose the encoding of bytes without a mark: every second byte of plain text in UTF-16 is 0."""
    sample = data[:2000]
    for start, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(sample) > 1 and sample[start::2].count(0) > 0.8 * len(sample[start::2]):
            return name
    for name in ("utf-8", "cp1252"):
        try:
            data.decode(name)
            return name
        except UnicodeDecodeError:
            continue
    # Every byte is a letter in Latin-1, so reading never fails; the note tells of the guess.
    return "latin-1"
