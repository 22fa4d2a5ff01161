"""What `accelerate launch`, `torchrun` and MPI say in the environment of the processes that they start."""

import os

from accelerate.utils import get_int_from_env, parse_flag_from_env

from reachlab.errors import ReachlabError

WORLD = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Where launchers say how many processes there are: torchrun and accelerate, then three kinds of MPI."""


def world_size() -> int:
    """How many processes were launched; 1 without a launcher."""
    return int(get_int_from_env(WORLD, 1))


def refuse_unsupported() -> None:
    """Refuse what a launcher can ask for and we would otherwise silently not do.

    Raises:
        ReachlabError: it says what to launch with instead.
    """
    if parse_flag_from_env("ACCELERATE_USE_DEEPSPEED") or parse_flag_from_env("ACCELERATE_USE_MEGATRON_LM"):
        raise ReachlabError("DeepSpeed and Megatron-LM are not supported: launch with --multi_gpu or --use_fsdp")
    if parse_flag_from_env("ACCELERATE_USE_FSDP"):
        if os.environ.get("FSDP_VERSION", "1") != "2":
            raise ReachlabError("FSDP's first version is not supported: launch with --use_fsdp --fsdp_version 2")
        if parse_flag_from_env("FSDP_OFFLOAD_PARAMS"):
            raise ReachlabError("offloaded weights are not supported: launch with --fsdp_offload_params false")
        if parse_flag_from_env("FSDP_ACTIVATION_CHECKPOINTING"):
            raise ReachlabError(
                "activation checkpointing is not supported: launch with --fsdp_activation_checkpointing false"
            )
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision != "no":
        raise ReachlabError(
            f"mixed precision {precision!r} is the trainer's to choose: launch with --mixed_precision no, use --dtype"
        )
