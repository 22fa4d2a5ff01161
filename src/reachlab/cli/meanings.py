"""What the numbers that a command prints mean, in a sentence: it stands below them.

What a measure means says the measure itself (`caption`, in `measures/`); here is what has no measure.
"""

SAID = {
    "chance": (
        "luck is how often an answer to another problem of the same kind is right here all the same: what a model"
        " would get that answers in the right form and knows nothing. Where accuracy is near it, little was "
        "solved."
    ),
    "score": (
        "A scored run holds the log-probability of each of its answers under the judge; `reachlab perplexity` "
        "puts several runs and judges side by side."
    ),
    "compare": (
        "pass@k: the share of problems that k samples would solve, each with its interval below it. crossing: the "
        "k from which the base is back at or above the model. ΔSE: what more samples of the base would still "
        "bring over one of the model, pass@k(base) − pass@1(model). gained, lost: problems that only the model, "
        "only the base solved; chance: as many would be so between equal models; p<0.05: those that an exact test "
        "is sure of. support: the same problems as sets, and SRR, what is kept of what the base solves; NDR, what "
        "is new of what the model solves; SDS, their harmonic mean; NSCR, the net growth."
    ),
    "one": (
        "pass@k: the share of problems that k samples would solve, each with its interval below it. At k = 1 it "
        "is accuracy, at large k reach."
    ),
    "power": (
        "A comparison on so many problems says that such a difference is there in {power:.0%} of all cases in "
        "which it is; with fewer it mostly stays undecided, which is no proof of equality."
    ),
    "advise": (
        "over GRPO m, over GRPO n: how many times sooner this plan reaches the accuracy that plain GRPO reaches "
        "on so many rollouts, with this model, task and machine; above 1 it pays, and below 1 it costs. The last "
        "column is the interval of the speed-up over the better of the two."
    ),
    "entropy": (
        "Nats a token: 0 is a model that always says the same, and log V one that chooses evenly among V tokens; "
        "e to its power is how many equally likely tokens it hesitates between."
    ),
    "problems": (
        "A problem's id is its identity, answer is what a model's answer is compared with, solution is how the "
        "task itself answers. `--model M` shows the prompt as a model gets it."
    ),
    "tasks": (
        "A task is its name with settings behind commas, which are otherwise as shown: countdown,numbers=3. One "
        "with a file is NAME:FILE. `reachlab tasks TASK` shows problems of it."
    ),
}
"""By command; of `reachlab tasks` with and without a task, of `compare` with one model and with several."""
