"""The examples in docstrings do what they say."""

import doctest
from importlib import import_module

import pytest

EXAMPLES = {
    "boundary.bestof": ("best_of_k",),
    "boundary.cover": ("at_least",),
    "boundary.duplicates": ("distinct_at",),
    "boundary.exact": ("fisher_p", "holm", "mid_p_mcnemar"),
    "boundary.gap": ("sampling_efficiency_gap",),
    "boundary.verdict_table": ("compare_matrices",),
    "boundary.outcomes": ("Outcomes.pass_at_k",),
    "boundary.passk": ("pass_at_k",),
    "boundary.student": ("interval", "quantile"),
    "choices": ("imported",),
    "engines.rng": ("sample_seed",),
    "library.border": ("in_python",),
    "library.comparison": ("compare",),
    "library.frames": ("compare_matrices",),
    "library.measuring": ("power",),
    "library.passk": ("pass_at_k",),
    "library.sampling": ("load_task", "verify"),
    "library.selecting": ("max_variance",),
    "rl.advantages": ("discounted_sums", "standardised"),
    "rl.kl": ("estimate_kl",),
    "rl.rules.max_variance": ("max_variance",),
    "commands.words": ("words_of",),
    "tasks.registry": ("load_task",),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str) -> None:
    module = import_module(f"reachlab.{name}")
    tests = {test.name.removeprefix(f"{module.__name__}."): test for test in doctest.DocTestFinder().find(module)}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for example in EXAMPLES[name]:
        assert tests[example].examples, f"{example} has no example"
        runner.run(tests[example])
    assert runner.summarize(verbose=False).failed == 0
