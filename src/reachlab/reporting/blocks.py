"""Blocks of data inside the page: gzip, as base64, so that they lie in a script element and are opened when needed.

`blocks.js` opens them with the browser's own DecompressionStream.
"""

import base64
import gzip

LEVEL = 6
"""Of gzip: beyond it a page shrinks by a hundredth and takes twice the time to write."""


def packed(text: str) -> str:
    """Text as a block; the same text gives the same block."""
    # Half a surrogate pair, which JSON can hold and UTF-8 cannot, becomes a question mark.
    return base64.b64encode(gzip.compress(text.encode(errors="replace"), LEVEL, mtime=0)).decode()


def unpacked(block: str) -> str:
    """What `packed` was given."""
    return gzip.decompress(base64.b64decode(block)).decode()
