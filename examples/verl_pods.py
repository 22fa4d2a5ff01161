"""What verl's trainer mode `down_sampling` does to a prompt's rollouts, without a GPU; docs/verl.md has the training.

VERL_USE_EXTERNAL_MODULES=reachlab.integrations.verl.plugin .venv-verl/bin/python examples/verl_pods.py
"""

from verl.trainer.ppo.v1 import get_trainer_cls

from reachlab.integrations.verl.selection import select_rows
from reachlab.integrations.verl.settings import read_settings

print("trainer mode down_sampling:", get_trainer_cls("down_sampling").__name__)
rewards = [0.3, 0.0, 0.5, 0.4, 1.0, 0.6, 0.9, 0.1]
chosen = read_settings({"keep": 4, "rule": "max_variance"}, n=8)
found = select_rows([f"prompt_{i}_0" for i in range(8)], rewards, chosen, step=1)
print("kept of 8:", found.kept, {name.removeprefix("down_sampling/"): f"{x:.2f}" for name, x in found.metrics.items()})
