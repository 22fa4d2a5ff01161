"""What verl imports: ``VERL_USE_EXTERNAL_MODULES=reachlab.integrations.verl.plugin``. It registers the trainer.

The variable is read by every process that imports verl, so the process that trains, a Ray actor, knows the trainer too.
"""

from reachlab.integrations.verl.plugin_version import check_version

check_version()

from reachlab.integrations.verl import trainer  # noqa: E402 - another version has no such base class

__all__ = ["trainer"]
