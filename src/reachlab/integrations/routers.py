"""The routers' state in the checkpoints of a Hugging Face `Trainer`: `Trainer(..., callbacks=[KeepRouters()])`.

`densify` itself needs no callback. This one writes `routers.state` into every checkpoint, takes it back where a
run resumes, and takes that of the best model where the trainer loads it at the end. TRL's trainers are `Trainer`s.

The trainer of transformers 5.23 loads a checkpoint into a live model by the names on disk, where each expert has its
own, and leaves the fused experts as they are, with a warning. So a model that is whole is loaded here once more, as
`from_pretrained` does. Tested with transformers 5.23.
"""

from pathlib import Path
from typing import Any

from torch import nn
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from reachlab.errors import ReachlabError
from reachlab.moe import restore, save
from reachlab.moe.densifying import densified


class KeepRouters(TrainerCallback):  # type: ignore[misc]
    """Saves and loads a densified model's state with the trainer's checkpoints.

    Args:
        resumed_from: the folder that is given to `train(resume_from_checkpoint=...)`, where it does not lie in the
            run's own output folder.

    Raises:
        ReachlabError: the model is not densified, or the checkpoint that the run resumes from has no router state.
    """

    def __init__(self, resumed_from: str | Path | None = None):
        self.resumed_from = resumed_from

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Where the run resumes, take the state back."""
        if densified(kwargs["model"]) is None:
            raise ReachlabError("KeepRouters: this model has not been densified: call reachlab.densify(model) first")
        if state.global_step:
            _take(kwargs["model"], Path(self.resumed_from or _checkpoint(args, state)))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Put the state into the checkpoint that has just been written."""
        model: nn.Module = kwargs["model"]
        if args.should_save:
            save(model, _checkpoint(args, state))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Where the best model has been loaded, take its state."""
        if args.load_best_model_at_end and state.best_model_checkpoint is not None:
            _take(kwargs["model"], Path(state.best_model_checkpoint))


def _checkpoint(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"


def _take(model: nn.Module, folder: Path) -> None:
    """The router state of a checkpoint; and its weights, where the trainer read them from transformers' own files."""
    restore(model, folder)
    own_format = any((folder / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json"))
    parted = any(isinstance(p, DTensor) or hasattr(p, "_hp_mapping") for p in model.parameters())
    if isinstance(model, PreTrainedModel) and own_format and not parted:
        kept = type(model).from_pretrained(folder, dtype=model.dtype)
        model.load_state_dict(kept.state_dict())
