"""In which order `--help` shows options: what is used every day first, then groups under plain headings.

What is named nowhere here stands under the heading of its configuration (`CLASSES`), or under "Further options".
"""

EVERYDAY: dict[str, tuple[str, ...]] = {
    "tasks": ("task", "problems", "split", "model", "json"),
    "pretrain": ("data", "out", "steps", "batch", "length", "tokenizer", "family", "seed"),
    "distill": ("model", "teacher", "task", "out", "steps", "batch", "lr", "seed"),
    "rl": (
        *("model", "task", "out", "steps", "prompts", "rollouts", "keep", "rule", "algorithm", "max_tokens"),
        *("temperature", "lr", "reward", "lora_rank", "seed", "advise"),
    ),
    "sample": ("model", "task", "out", "problems", "samples", "max_tokens", "temperature", "top_p", "engine", "seed"),
    "entropy": ("model", "task", "temperature", "match", "at", "max_tokens", "problems", "samples", "out", "json"),
    "import": ("file", "out", "task", "verdicts", "format", "json"),
    "export": ("run", "out", "format", "json"),
    "verify": ("run", "task", "only_unscored", "timeout"),
    "chance": ("run", "shuffles", "samples", "json"),
    "measures": ("runs", "k", "json"),
    "reference": ("task", "out", "problems", "split"),
    "score": ("runs", "model", "name", "samples", "json"),
    "perplexity": ("runs", "json"),
    "compare": ("runs", "names", "matrix", "k", "pairs", "match", "json"),
    "report": ("runs", "names", "out", "title", "k", "pairs", "match"),
    "serve": ("runs", "names", "port", "host", "open", "title", "k", "pairs", "match"),
    "power": ("base", "other", "matrix", "points", "k", "samples", "json"),
    "study own": ("model", "task", "test_task", "hours", "teacher", "teacher_model", "out", "seed"),
    "moe inspect": ("model", "data", "out", "json"),
}
"""By command; of one that is not here, all that its configuration has itself."""

CLASSES = {
    "AskConfig": "How the model is asked",
    "DecodingChoice": "Decoding",
    "Servers": "Servers that answer",
    "PushConfig": "Servers that answer",
    "Cluster": "Cluster (Ray)",
    "Adaptive": "Adaptive sampling",
    "BudgetConfig": "Which rollouts are drawn",
    "SelectionConfig": "Which rollouts are learned from (down-sampling)",
    "ObjectiveConfig": "The objective",
    "EvaluationConfig": "Measured while training",
    "OptimizerChoice": "Optimizer",
    "OptimizerConfig": "Optimizer",
    "WeightsConfig": "Adapters and precision",
    "LoopConfig": "The run: how long, what is kept, where",
    "TextConfig": "Text",
    "ModelConfig": "Shape of the new model",
    "RoutingConfig": "Mixture of experts",
    "BalanceConfig": "Mixture of experts",
}
"""The heading of a configuration inside another one."""

PROBLEMS = "Which problems"
MACHINE = "Machine"
INTERVALS = "Intervals"
LEARNING = "Learning"
VLLM = "vLLM and servers"
VERDICTS = "Verdicts"
STORE = "How the work is cut"
HEADINGS: dict[str, dict[str, str]] = {
    "TasksConfig": {"seed": PROBLEMS, "pictures": PROBLEMS},
    "SampleConfig": {
        **dict.fromkeys(("split", "problem_seed", "prefix"), PROBLEMS),
        **dict.fromkeys(("vllm_args", "request_seeds", "logprobs"), VLLM),
        **dict.fromkeys(("rows", "part", "shard"), STORE),
        **dict.fromkeys(("dtype", "device", "rehash"), MACHINE),
        "verify_timeout": VERDICTS,
    },
    "ReferenceConfig": {"problem_seed": PROBLEMS, "verify_timeout": VERDICTS},
    "VerifyConfig": {"workers": MACHINE},
    "ChanceConfig": {"workers": MACHINE, "timeout": VERDICTS, "seed": "Randomness"},
    "EntropyConfig": {
        **dict.fromkeys(("split", "problem_seed"), PROBLEMS),
        **dict.fromkeys(("low", "high", "tolerance"), "The search for a temperature"),
        **dict.fromkeys(("dtype", "device", "rehash"), MACHINE),
        "seed": "Randomness",
    },
    "ImportConfig": {
        **dict.fromkeys(("text", "question", "answer", "id", "index", "label"), "Fields of a row"),
        **dict.fromkeys(("threshold", "filter"), "Fields of a row"),
        **dict.fromkeys(("split", "problems", "problem_seed"), PROBLEMS),
        **dict.fromkeys(("verify_timeout", "workers"), VERDICTS),
        "skip_bad": "Rows that cannot be read",
    },
    "ExportConfig": {
        **dict.fromkeys(("model_id", "organization", "relationship"), "Every Eval Ever (--format eee)"),
    },
    "ScoreConfig": dict.fromkeys(("dtype", "device", "tokens", "threads", "rehash"), MACHINE),
    "CompareConfig": {
        **dict.fromkeys(("over", "level", "resamples", "seed", "cluster"), INTERVALS),
        **dict.fromkeys(("same_within", "gap_k"), "The verdict"),
        "memory": "Reach or memory",
        "matrix": "Tables in place of runs (reachlab compare)",
    },
    "MeasuresConfig": dict.fromkeys(("level", "resamples", "seed"), INTERVALS),
    "PerplexityConfig": dict.fromkeys(("level", "resamples", "seed"), INTERVALS),
    "PowerConfig": {"level": "The verdict", "power": "The verdict", "match": "How problems are paired"},
    "RLConfig": {
        **dict.fromkeys(("updates", "epochs", "pass_tokens", "guard"), LEARNING),
        "verify_timeout": VERDICTS,
        "rehash": MACHINE,
    },
    "PretrainConfig": {"accumulate": LEARNING, "dtype": MACHINE},
    "DistillConfig": {
        **dict.fromkeys(("answers", "tokens_of", "length", "accumulate", "guard"), LEARNING),
        "rehash": MACHINE,
    },
    "OwnConfig": {
        **dict.fromkeys(
            (
                *("max_tokens", "problems", "samples", "steps", "pods_steps", "distill_steps", "prompts", "rollouts"),
                "temperature",
            ),
            "Sizes; what is not said follows from --hours",
        ),
        **dict.fromkeys(("sample_words", "rl_words", "distill_words"), "More words for single stages"),
        **dict.fromkeys(("dtype", "device", "engine", "launch"), MACHINE),
    },
    "InspectConfig": {
        **dict.fromkeys(("tokens", "length", "batch", "fidelity", "warm_up", "seed"), "How much is looked at"),
        **dict.fromkeys(("dtype", "device"), MACHINE),
    },
}
"""By configuration, the headings of fields that are not used every day."""

ORDER = (
    *(PROBLEMS, "How the model is asked", "Decoding", "Fields of a row"),
    *("Which rollouts are drawn", "Which rollouts are learned from (down-sampling)", "The objective", LEARNING),
    *("The verdict", INTERVALS, "Optimizer", "The run: how long, what is kept, where", "Measured while training"),
)
"""The headings that come first, in this order; then others in the order of the configuration."""
LAST = (
    *("Adapters and precision", VERDICTS, STORE, "Adaptive sampling", "Mixture of experts", VLLM),
    *("Servers that answer", "Cluster (Ray)", MACHINE),
)
"""The headings that come last."""

FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Ask and draw", ("tasks", "sample", "import", "export", "reference", "verify")),
    ("Train", ("pretrain", "distill", "rl", "merge")),
    ("Compare", ("compare", "report", "serve", "power")),
    ("Measure", ("measures", "chance", "entropy", "score", "perplexity", "moe")),
    ("All of it in one command", ("study",)),
    ("This installation", ("doctor",)),
)
"""The commands, as `reachlab --help` groups them."""

MOE = "Mixtures of experts: what their routers do.\n\nExample: reachlab moe families"
"""What `reachlab moe` says of itself, which is several commands."""
