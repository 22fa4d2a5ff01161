import base64

from hypothesis import given
from hypothesis import strategies as st

from reachlab.reporting.blocks import packed, unpacked


@given(st.text())
def test_a_block_holds_its_text_and_cannot_end_its_script(text: str) -> None:
    block = packed(text)
    assert unpacked(block) == text
    assert "<" not in block
    assert packed(text) == block


def test_blocks_are_small() -> None:
    text = "a problem and its answer, " * 1000
    assert len(base64.b64decode(packed(text))) < len(text) / 50
