"""Rollout down-sampling and pass@k in verl 0.9.1: a trainer of ours by verl's own plug-in variable.

    VERL_USE_EXTERNAL_MODULES=reachlab.integrations.verl.plugin python -m verl.trainer.main_ppo ... \\
        trainer.v1.trainer_mode=down_sampling +trainer.v1.down_sampling.keep=4

`plugin` registers it, `trainer` is it, `settings` its options, `selection` and `validation` the two things it does
otherwise than verl's synchronous trainer. docs/verl.md says the rest.

Supported: verl 0.9.1, whose trainer's methods are overridden by name; any other version is refused.
"""
