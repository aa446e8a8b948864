"""Headers of MHA, MHD, NRRD and NHDR files: which file holds the values, how, and whether it holds them all."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lossodyssey.data.sizes import RefusedError, TooLargeError

LONGEST = 1 << 20  # bytes of a header
CHUNK = 1 << 20
WHERE = b"elementdatafile"
PACKED, PLAIN, TEXT = "packed", "plain", "text"
ENCODINGS = {
    "raw": PLAIN,
    "gzip": PACKED,
    "gz": PACKED,
    "txt": TEXT,
    "text": TEXT,
    "ascii": TEXT,
    "hex": TEXT,
}


@dataclass(frozen=True)
class Header:
    """The fields of a header, the file of the values, where in it they begin, and whether they are packed or text."""

    fields: Mapping[str, str]
    data: Path
    offset: int
    encoding: str


def read_header(path: Path) -> Header:
    """Read the header of a MHA, MHD, NRRD or NHDR file.

    Raises:
        RefusedError: its values lie in another folder or in several files, or are packed in a way that is not read.
        ValueError: it is not such a header.
    """
    with path.open("rb") as file:
        start = file.read(LONGEST)
    return _nrrd(path, start) if path.name.lower().endswith((".nrrd", ".nhdr")) else _meta(path, start)


def _meta(path: Path, start: bytes) -> Header:
    # A reader takes the text after a key without a value for its value. This must not hide the key that names the file
    # of the values, followed by a second such key. Elsewhere ITK's own keys may lack values.
    lines = start[: start.find(b"\n", start.lower().find(WHERE)) + 1].splitlines(keepends=True)
    fields = dict(_field(line) for line in lines)
    if "ElementDataFile" not in fields or not all(_field(line)[1] for line in lines[-2:]):
        raise ValueError("its header does not say where the values are: a line ElementDataFile behind another one")
    end = sum(map(len, lines))
    packed = fields.get("CompressedData", "False").lower().startswith("t")
    text = fields.get("BinaryData", "True").lower().startswith("f")
    name = fields["ElementDataFile"]
    local = name.upper() == "LOCAL"
    if packed and fields.get("HeaderSize", "0") != "0":
        raise RefusedError(
            f"{path}: packed values behind a header of their own (HeaderSize) are not read; save it again"
        )
    data = path if local else _beside(path, name)
    return Header(fields, data, end if local else 0, PACKED if packed else TEXT if text else PLAIN)


def _field(line: bytes) -> tuple[str, str]:
    key, _, value = line.decode("latin-1").replace(":", "=", 1).partition("=")
    return key.strip(), value.strip()


def _nrrd(path: Path, start: bytes) -> Header:
    text = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0]
    if not text.startswith(b"NRRD"):
        raise ValueError("it does not begin with NRRD")
    pairs = [line.partition(":") for line in text.decode("latin-1").splitlines()[1:] if not line.startswith("#")]
    fields = {key.strip().lower().replace(" ", ""): value.strip() for key, _, value in pairs}
    if len(fields) < len(pairs) and sum(key.strip().lower().replace(" ", "") == "datafile" for key, *_ in pairs) > 1:
        raise ValueError("its header names two files of values")
    encoding = ENCODINGS.get(fields.get("encoding", "").lower())
    if encoding is None:
        raise RefusedError(
            f"{path}: encoding {fields.get('encoding', 'missing')!r} is not read; save it as raw or gzip"
        )
    if encoding == PACKED and {fields.get("byteskip", "0"), fields.get("lineskip", "0")} != {"0"}:
        raise RefusedError(f"{path}: packed values with a part to skip are not read; save it again")
    if "datafile" in fields:
        return Header(fields, _beside(path, fields["datafile"]), 0, encoding)
    behind = re.compile(rb"\r?\n\r?\n").search(start)
    if behind is None:
        raise ValueError("its header has no end and names no file of values")
    return Header(fields, path, behind.end(), encoding)


def _beside(path: Path, name: str) -> Path:
    """Return the file of the values, which must lie in the folder of its header: the header comes from elsewhere."""
    if name.upper().startswith("LIST") or "%" in name:
        raise RefusedError(f"{path}: its values are in several files ({name[:80]}); save it as one file")
    data = Path(name)
    if data.is_absolute() or data.drive or ".." in data.parts or "\\" in name:
        raise RefusedError(
            f"{path}: its header names the file of values {name!r:.200}, outside its folder; move it beside the header"
        )
    if not (path.parent / data).is_file():
        raise RefusedError(f"{path}: {name!r:.200}, the file of its values, is missing; copy it beside the header")
    return path.parent / data


def check_packed(path: Path, header: Header, claimed: int) -> None:
    """Unpack the values once, so that a checksum is compared: the library that reads them silently ignores it.

    Raises:
        TooLargeError: they unpack to more than the header claims.
        ValueError: they are damaged, or fewer.
    """
    total = 0
    for part in _unpacked(header):
        total += len(part)
        if total > claimed:
            raise TooLargeError(
                f"{path}: its header claims {claimed:,} bytes, but it unpacks to more; it is not what it says it is"
            )
    if total < claimed:
        raise ValueError(f"its header claims {claimed:,} bytes, but it unpacks to {total:,}")


def _unpacked(header: Header) -> Iterator[bytes]:
    with header.data.open("rb") as file:
        file.seek(header.offset)
        stream, rest = _stream(), b""
        while rest or (rest := file.read(CHUNK)):
            if stream.eof:
                # Several streams may follow each other; zeros after the last are padding.
                if not rest.startswith((b"\x1f\x8b", b"\x78")):
                    return
                stream = _stream()
            yield stream.decompress(rest, CHUNK)
            rest = stream.unused_data if stream.eof else stream.unconsumed_tail
        while not stream.eof and (part := stream.decompress(b"", CHUNK)):
            yield part
    if not stream.eof:
        raise ValueError("its packed values have no end")


def _stream() -> zlib._Decompress:
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # zlib or gzip, as the stream says
