"""Checkers: each takes a choice that somebody made and says in one sentence what it breaks, and what was promised.

    check_rule(MIN_REWARD)   →   ContractError: the rule 'min_reward' keeps a rollout twice; indices are distinct

In the manner of scikit-learn's `check_estimator`: they need no test runner, and what passes one behaves in every room
as the project's own choices do. A checker a file, named after what it checks. They are for choices
outside of the package as well: ``from reachlab.checks.task import check_task; check_task(MyTask())`` (docs/extend.md).
"""
