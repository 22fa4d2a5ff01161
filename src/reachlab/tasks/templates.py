"""What stands around a question when a model is asked it, by the names the field uses.

The texts are those that the models were trained with or are evaluated with: the evaluation code of Qwen2.5-Math and of
simpleRL-reason has them under the same names; arXiv 2504.13837 asks its models with
`qwen-boxed` and `abel`. `choice` asks for a letter in the way of OpenAI's simple-evals.
"""

from reachlab.errors import ReachlabError
from reachlab.types import Text

BOXED = "Please reason step by step, and put your final answer within \\boxed{}."
CHOICE = (
    "Answer the following multiple choice question. The last line of your response should be of the form "
    "'Answer: X', where X is the letter of the right option. Think step by step before answering."
)


def _chatml(user: str, system: str = "") -> str:
    before = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    return f"{before}<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"


TEMPLATES = {
    "plain": "{question}\n",
    "boxed": f"{{question}}\n{BOXED}\n",
    "choice": f"{CHOICE}\n\n{{question}}\n",
    "abel": "Question:\n{question}\nAnswer:\nLet's think step by step.\n",
    "qwen-boxed": _chatml(f"{{question}}\n{BOXED}", "You are a helpful assistant."),
    "qwen25-math-cot": _chatml("{question}", BOXED),
    "deepseek-math": f"User: {{question}}\n{BOXED}\n\nAssistant:",
    "deepseek-r1": f"<｜begin▁of▁sentence｜><｜User｜>{{question}}\n{BOXED}<｜Assistant｜><think>\n",
    "llama3-boxed": (
        f"<|start_header_id|>user<|end_header_id|>\n\n{{question}}\n{BOXED}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    ),
    "mistral-boxed": f"[INST] {{question}}\n{BOXED} [/INST]",
    "code": "{question}\nWrite a Python program, in one ```python block.\n",
    "qwen-code": _chatml(
        "{question}\nThink step by step, then give the whole program in one ```python block.",
        "You are a helpful assistant.",
    ),
}


CHATS = {"chat": "{question}", "chat-boxed": f"{{question}}\n{BOXED}", "chat-choice": f"{CHOICE}\n\n{{question}}"}
"""What the user says, in a chat that the checkpoint's own template writes."""


def fill(name: str, question: str) -> Text:
    """The prompt for a question.

    Raises:
        ReachlabError: no template of that name.
    """
    if name not in TEMPLATES | CHATS:
        raise ReachlabError(f"no template {name!r}; there are: {', '.join(TEMPLATES | CHATS)}")
    # Not str.format: templates and questions are full of LaTeX's braces.
    if name in CHATS:
        return ({"role": "user", "content": CHATS[name].replace("{question}", question)},)
    return TEMPLATES[name].replace("{question}", question)
