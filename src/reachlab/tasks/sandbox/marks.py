"""How models mark where their reasoning begins and ends, and where a text ends; for answers of any kind.

Runs inside the walls too: nothing but the standard library. The marks are those of the models' own chat templates.
"""

REASONING = (
    ("<think>", "</think>"),
    ("<THINK>", "</THINK>"),
    ("<Think>", "</Think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<start_working_out>", "<end_working_out>"),
    ("<reflection>", "</reflection>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis", "<|channel|>final"),
    ("<|channel|>commentary", "<|channel|>final"),
)
"""How models mark where reasoning begins and ends. A prompt may hold the beginning, so an end can stand alone."""

ENDS = (
    "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|eos|>", "<|EOT|>", "<|file_sep|>",
    "<|end_of_sentence|>", "<|endofprompt|>", "<|END_OF_TURN_TOKEN|>", "<|END_RESPONSE|>", "<|end_of_solution|>",
    "</s>", "<eos>", "<end_of_turn>", "<｜end▁of▁sentence｜>", "<|end▁of▁sentence|>",
)  # fmt: skip
"""What ends a text."""

TURNS = (
    "<|im_start|>", "<|start_header_id|>", "<|user|>", "<|START_OF_TURN_TOKEN|>", "<start_of_turn>",
    "<｜User｜>", "[INST]",
)  # fmt: skip
"""What begins somebody's turn: another's, where it stands behind an answer."""

MESSAGE_ENDS = ("<|end|>", "<|return|>", "<|start|>")
"""What ends a message of Harmony's; reasoning is one."""
