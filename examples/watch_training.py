"""Watch pass@k while a Hugging Face `Trainer` trains. It prints the base and two checkpoints of a tiny model: the loss
falls, and pass@k on held-out problems falls with it, for there are so few sums that they are learned by heart.

    python examples/watch_training.py                                    # needs reachlab[train]; about 20 seconds"""

from random import Random

import transformers as hf

import reachlab as rl
from reachlab.integrations.watch import PassAtKCallback

if __name__ == "__main__":
    base, task = (
        rl.pretrain("chain,length=1", hidden=64, layers=2, steps=200, out="runs/sums"),
        rl.load_task("chain,length=1"),
    )
    model, words = hf.AutoModelForCausalLM.from_pretrained(base.model), hf.AutoTokenizer.from_pretrained(base.model)
    texts = (f"{p.prompt}{task.solve(p, Random(0))}{words.eos_token}" for p in task.stream("train", 0))
    how = hf.TrainingArguments("runs/sums-trained", max_steps=400, learning_rate=2e-3, logging_steps=50)
    watch = PassAtKCallback("chain,length=1", "runs/watch-sums", problems=30, samples=16, every=200, max_tokens=10)
    rows, labelled = [words(next(texts)) for _ in range(2000)], hf.DataCollatorForLanguageModeling(words, mlm=False)
    hf.Trainer(model, how, labelled, rows, processing_class=words, callbacks=[watch]).train()
