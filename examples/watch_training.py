"""Watch pass@k while a `Trainer` trains. It prints pass@k and loss: both fall, for a tiny model learns sums by heart.

python examples/watch_training.py                                    # needs reachlab[train]; about 20 seconds"""

from random import Random

import transformers as hf

import reachlab as rl
from reachlab.integrations.watch import PassAtKCallback

if __name__ == "__main__":
    task = rl.load_task("chain,length=1")
    base = rl.pretrain("chain,length=1", hidden=64, layers=2, steps=200, out="runs/sums").model
    model, words = hf.AutoModelForCausalLM.from_pretrained(base), hf.AutoTokenizer.from_pretrained(base)
    texts = (f"{p.prompt}{task.solve(p, Random(0))}{words.eos_token}" for p in task.stream("train", 0))
    how = hf.TrainingArguments("runs/sums-trained", max_steps=400, learning_rate=2e-3, logging_steps=50)
    watch = PassAtKCallback("chain,length=1", "runs/watch-sums", problems=30, samples=16, every=200, max_tokens=10)
    rows, labelled = [words(next(texts)) for _ in range(2000)], hf.DataCollatorForLanguageModeling(words, mlm=False)
    hf.Trainer(model, how, labelled, rows, processing_class=words, callbacks=[watch]).train()
