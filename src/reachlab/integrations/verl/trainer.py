"""verl's synchronous trainer with rollout down-sampling (PODS, arXiv 2504.13818) and pass@k in its validations.

Selection comes when a step's rollouts have their rewards, those of a colocated reward model too, and before rows are
balanced over processes: log-probabilities, reference, values, advantages and updates see the kept ones alone, and
verl's own advantage estimators normalise over them. Validation does not pass here.

verl counts a mini-batch as ``ppo_mini_batch_size × rollout.n`` rows. After selection a prompt has `keep`, so that where
the driver counts rows `rollout.n` reads `keep`; the workers that draw have copies of their own, with n.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import transfer_queue as tq
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.trainer.ppo.v1.trainer_base import register_trainer
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from reachlab.integrations.verl.selection import select_rows
from reachlab.integrations.verl.settings import MODE, read_settings
from reachlab.integrations.verl.validation import pass_at_k_metrics


@register_trainer(MODE)
class DownSamplingTrainer(PPOTrainerSync):  # type: ignore[misc]
    """``trainer.v1.trainer_mode=down_sampling``; options as of `integrations.down_sampling`.

    Raises:
        ReachlabError: options that are none, or out of range; later, rewards that are infinite or all missing.
    """

    def __init__(self, config: Any):
        rollouts = config.actor_rollout_ref.rollout.n
        self.chosen = read_settings(config.trainer.v1.get(MODE) or {}, rollouts)
        super().__init__(config)

    def _build_replay_buffer(self) -> ReplayBuffer:
        # To verl each mode but this name is an asynchronous one; it is looked at from here on.
        self.trainer_mode = "sync"
        return super()._build_replay_buffer()

    def _balance_batch(self, batch: KVBatchMeta, metrics: dict[str, Any], *args: Any, **more: Any) -> KVBatchMeta:
        batch = self._select(batch, metrics)
        with self._counting_kept():
            return super()._balance_batch(batch, metrics, *args, **more)

    def _select(self, batch: KVBatchMeta, metrics: dict[str, Any]) -> KVBatchMeta:
        """The batch of the kept rows; the others are cleared from the queue."""
        data = tq.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["rm_scores"])
        rewards = [row.sum().item() for row in data["rm_scores"].unbind()]
        found = select_rows(batch.keys, rewards, self.chosen, self.global_steps)
        metrics.update(found.metrics)
        if found.left:
            tq.kv_clear(keys=[batch.keys[at] for at in found.left], partition_id=batch.partition_id)
        return KVBatchMeta(
            partition_id=batch.partition_id,
            keys=[batch.keys[at] for at in found.kept],
            tags=[batch.tags[at] for at in found.kept],
            fields=batch.fields,
            extra_info=batch.extra_info,
        )

    def _compute_advantage(self, batch: KVBatchMeta, metrics: dict[str, Any]) -> KVBatchMeta:
        with self._counting_kept():
            return super()._compute_advantage(batch, metrics)

    def _update_critic(self, batch: KVBatchMeta, metrics: dict[str, Any]) -> KVBatchMeta:
        with self._counting_kept():
            return super()._update_critic(batch, metrics)

    def _update_actor(self, batch: KVBatchMeta, metrics: dict[str, Any]) -> KVBatchMeta:
        with self._counting_kept():
            return super()._update_actor(batch, metrics)

    @contextmanager
    def _counting_kept(self) -> Iterator[None]:
        """`rollout.n` reads `keep`; nothing is drawn meanwhile."""
        rollout = self.config.actor_rollout_ref.rollout
        n, rollout.n = rollout.n, self.chosen.keep
        try:
            yield
        finally:
            rollout.n = n

    def _val_metrics_update(
        self, data_sources: Any, sample_uids: Any, reward_extra_infos_dict: Any, *args: Any, **more: Any
    ) -> dict[str, float]:
        theirs: dict[str, float] = super()._val_metrics_update(
            data_sources, sample_uids, reward_extra_infos_dict, *args, **more
        )
        return theirs | pass_at_k_metrics(data_sources, sample_uids, reward_extra_infos_dict)
