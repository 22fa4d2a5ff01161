"""From a reference to a picture.

    scene:{...}       drawn when it is looked at (`drawn_scenes.py`)
    noise:REFERENCE   noise of the size of another picture: what is left of a problem for one who does not look
    anything else     a file, by its path or URL

So a problem, and a run's store, holds a reference and never a copy. `fingerprint` tells whether what is there now is
what was there when the reference was written down: the hash of a file's bytes, or of what a drawing is drawn from.
"""

import base64
import hashlib
import io
import re
import warnings
from functools import lru_cache

import fsspec
import numpy as np
from PIL import Image, UnidentifiedImageError

from reachlab.errors import ReachlabError
from reachlab.pictures.drawn_scenes import draw_scene

SCENE, NOISE = "scene:", "noise:"
MOST_PIXELS = 50_000_000
"""A picture larger than this is a mistake, or an attack: its pixels would fill the memory."""
MOST_BYTES = 200 << 20
DAMAGE = (OSError, SyntaxError, ValueError, EOFError, MemoryError, TypeError, IndexError)
"""What a damaged file can make a decoder raise."""
KEPT = 32
"""Pictures that are kept decoded: those that requests under way ask about."""


@lru_cache(maxsize=KEPT)
def open_picture(reference: str) -> Image.Image:
    """The picture in RGB, what is transparent on white. Do not change it: it is kept.

    Raises:
        ReachlabError: no such file, not a picture, a broken one, one without pixels or with too many.
    """
    if reference.startswith(NOISE):
        return _noise(reference.removeprefix(NOISE))
    if reference.startswith(SCENE):
        return draw_scene(reference.removeprefix(SCENE))
    return _decode(_read(reference), reference)


def check_picture(reference: str) -> None:
    """See that there is a picture and that its size can be; what a file's header says, without decoding it.

    Raises:
        ReachlabError: as `open_picture`, but for damage behind the header.
    """
    if reference.startswith((SCENE, NOISE)):
        open_picture(reference)
    else:
        _header(_read(reference), reference)


def fingerprint(reference: str) -> str:
    """A hash that changes when the picture does.

    Raises:
        ReachlabError: a file that cannot be read.
    """
    file = not reference.startswith((SCENE, NOISE))
    return hashlib.blake2b(_read(reference) if file else reference.encode(), digest_size=16).hexdigest()


def png(reference: str) -> bytes:
    """The picture as a PNG file.

    Raises:
        ReachlabError: as `open_picture`.
    """
    buffer = io.BytesIO()
    open_picture(reference).save(buffer, "PNG")
    return buffer.getvalue()


@lru_cache(maxsize=KEPT)
def data_url(reference: str) -> str:
    """The picture within a URL, as servers and pages take it.

    Raises:
        ReachlabError: as `open_picture`.
    """
    return "data:image/png;base64," + base64.b64encode(png(reference)).decode()


def _read(path: str) -> bytes:
    try:
        with fsspec.open(path, "rb") as file:
            data: bytes = file.read(MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise ReachlabError(f"{path}: no such picture") from error
    except (OSError, ValueError, ImportError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ReachlabError(f"{path}: not readable as a picture: {reason}") from error
    if len(data) > MOST_BYTES:
        raise ReachlabError(f"{path}: more than {MOST_BYTES >> 20} MiB, which is no picture to ask about; shrink it")
    if not data:
        raise ReachlabError(f"{path}: an empty file, no picture")
    return data


def _header(data: bytes, name: str) -> Image.Image:
    """The picture, not decoded yet."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures where we refuse them.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        # Pillow has refused it already, and says how large it is.
        size = "".join(f"{int(n):,} pixels, " for n in re.findall(r"\((\d+) pixels\)", str(error)))
        raise ReachlabError(f"{name}: {size}more than the {MOST_PIXELS:,} allowed; shrink it") from error
    except UnidentifiedImageError as error:
        raise ReachlabError(
            f"{name}: not a picture of a known format (PNG, JPEG, WebP ...), or a broken one"
        ) from error
    except DAMAGE as error:
        raise ReachlabError(f"{name}: a broken picture: {error}") from error
    width, height = picture.size
    if not width or not height:
        raise ReachlabError(f"{name}: a picture of {width} x {height} pixels shows nothing")
    if width * height > MOST_PIXELS:
        raise ReachlabError(f"{name}: {width:,} x {height:,} pixels, more than the {MOST_PIXELS:,} allowed; shrink it")
    return picture


def _decode(data: bytes, name: str) -> Image.Image:
    picture = _header(data, name)
    try:
        picture.load()
        return _flat(picture)
    except DAMAGE as error:
        raise ReachlabError(f"{name}: a broken picture: {error}") from error


def _flat(picture: Image.Image) -> Image.Image:
    """The first frame in RGB, on white."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        over = picture.convert("RGBA")
        under = Image.new("RGBA", over.size, "white")
        return Image.alpha_composite(under, over).convert("RGB")
    return picture.convert("RGB")


def _noise(of: str) -> Image.Image:
    """Uniform noise of the size of a picture, the same each time."""
    width, height = open_picture(of).size
    seed = int.from_bytes(hashlib.blake2b(of.encode(), digest_size=8).digest())
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))
