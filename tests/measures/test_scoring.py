import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.conftest import Command
from tests.tiny import TASK, kill_again_and_again, loud, rows_of, tiny_config, touches
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import BPE
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from reachlab.engines.config import Decoding
from reachlab.errors import ReachlabError
from reachlab.measures import scoring
from reachlab.measures.config import ScoreConfig
from reachlab.measures.scorer import Scorer
from reachlab.measures.scoring import ScoredRun, judge_name, score
from reachlab.models.build import build_model
from reachlab.models.checkpoint import load_model, save_model
from reachlab.models.checkpoint_files import hash_model
from reachlab.models.pack import Pack
from reachlab.models.tokenizer import encode, encode_answers, encode_prompts
from reachlab.runs import RunFolder
from reachlab.sampling.config import ReferenceConfig, SampleConfig, VerifyConfig
from reachlab.sampling.reference import write_reference
from reachlab.sampling.run import sample
from reachlab.sampling.verifying import verify
from reachlab.store.samples import SampleStore
from reachlab.text_hashes import hash_tokens
from reachlab.types import Chat, Judged, Problem, Sample, Verdict

PROBLEMS, SAMPLES = 6, 12


def draw(checkpoint: Path, out: Path, **settings: Any) -> Path:
    """A run of a part a problem."""
    decoding = settings.pop("decoding", Decoding(max_tokens=8))
    config = {"problems": PROBLEMS, "samples": SAMPLES, "rows": 16, "part": 12, **settings}
    sample(SampleConfig(model=str(checkpoint), task=TASK, out=str(out), decoding=decoding, **config))
    return out


@pytest.fixture(scope="module")
def drawn(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples of the dense model; copy the folder before it is changed."""
    return draw(checkpoint, tmp_path_factory.mktemp("drawn") / "run")


@pytest.fixture
def run(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "run"))


def ask(run: Path | str, judge: Path, **settings: Any) -> ScoredRun:
    """Score one run."""
    [found] = score(ScoreConfig(runs=(str(run),), model=str(judge), device="cpu", **settings))
    return found


def store_of(folder: Path, problems: Sequence[Problem], texts: Sequence[tuple[str, str, str]]) -> SampleStore:
    """A run made by hand: problem, text, finish."""
    store = SampleStore(RunFolder(folder))
    store.write_problems(problems)
    counts = {p.id: 0 for p in problems}
    samples = []
    for problem, text, finish in texts:
        samples.append(
            Sample(
                problem_id=problem, index=counts[problem], text=text, tokens=0, finish=finish, logprob=None,  # type: ignore[arg-type]
                seed=0, engine="import", verdict=Verdict.wrong(),
            )
        )  # fmt: skip
        counts[problem] += 1
    store.write_part(samples)
    return store


def alone(model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int]) -> float:
    """What transformers says of one answer, by itself."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *answer]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
    found = logits.double().log_softmax(-1).gather(1, torch.tensor(answer)[:, None])
    return float(found.sum())


def assert_scores_are_those_of_each_answer_alone(run: Path | str, judge: Path, name: str, ends: bool = True) -> None:
    model, tokenizer = load_model(judge)
    prompts = {p.id: encode_prompts(tokenizer, [p.prompt])[0] for p in SampleStore(RunFolder(run)).problems()}
    rows = rows_of(run)
    for row in rows:
        [answer] = encode(tokenizer, [row["text"]])
        answer = [*answer, *([tokenizer.eos_token_id] if ends and row["finish"] == "stop" else [])]
        assert row[f"tokens:{name}"] == len(answer)
        if answer:
            assert row[f"logprob:{name}"] == pytest.approx(alone(model, prompts[row["problem_id"]], answer), abs=1e-4)
        else:
            assert row[f"logprob:{name}"] is None
    assert len({row["finish"] for row in rows}) == 2


@pytest.mark.parametrize("settings", [{}, {"tokens": 30}])
def test_scores_are_those_of_each_answer_alone(run: Path, checkpoint: Path, settings: dict[str, Any]) -> None:
    found = ask(run, checkpoint, **settings)
    assert_scores_are_those_of_each_answer_alone(run, checkpoint, "qwen3")
    assert (found.judge, found.samples, found.now) == ("qwen3", PROBLEMS * SAMPLES, PROBLEMS * SAMPLES)
    assert found.scored + found.empty + found.unfit == found.samples


def test_a_mixture_of_experts_judges_what_another_model_wrote(run: Path, moe_checkpoint: Path) -> None:
    found = ask(run, moe_checkpoint, name="judge")
    assert_scores_are_those_of_each_answer_alone(run, moe_checkpoint, "judge")
    assert found.agreement is None


def test_the_writer_agrees_with_its_sampler(run: Path, checkpoint: Path) -> None:
    found = ask(run, checkpoint, name="itself").agreement
    assert found is not None
    assert found.compared > 30
    # Special tokens that were drawn inside an answer are not in its text.
    assert found.compared + found.retokenised == PROBLEMS * SAMPLES - ask(run, checkpoint, name="itself").empty
    assert (found.open_ended, found.apart) == (0, 0)
    assert found.highest < 1e-4
    assert found.mean <= found.highest


@pytest.mark.parametrize(
    ("family", "decoding"),
    [
        ("checkpoint", Decoding(max_tokens=8, temperature=0.6, top_p=0.7)),
        ("moe_checkpoint", Decoding(max_tokens=8, temperature=2.0, top_k=5)),
        ("checkpoint", Decoding(max_tokens=8, stop=("1", "+2"))),
    ],
)
def test_decoding_does_not_break_the_agreement(
    family: str, decoding: Decoding, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    judge: Path = request.getfixturevalue(family)
    run = draw(judge, tmp_path / "run", decoding=decoding, samples=8)
    found = ask(run, judge, name="itself").agreement
    assert found is not None
    assert found.compared > 5
    assert (found.highest < 1e-4, found.apart) == (True, 0)
    assert (found.open_ended > 0) == bool(decoding.stop)
    assert_scores_are_those_of_each_answer_alone(run, judge, "itself", ends=not decoding.stop)


@pytest.mark.parametrize("stop", [(), ("2",)])
def test_other_tokens_than_were_drawn_are_noticed_whatever_their_number(tmp_path: Path, stop: tuple[str, ...]) -> None:
    """A model that draws 111 and 11 has said what its tokenizer spells 11 and 111."""
    pieces = {"<pad>": 0, "<eos>": 1, "<unk>": 2, "1": 3, "11": 4, "111": 5, "2": 6}
    backend = Tokenizer(BPE(pieces, [("1", "1"), ("11", "1")], unk_token="<unk>"))
    backend.decoder = Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )
    model = loud(build_model(tiny_config(), tokenizer, seed=0), 0.03)
    save_model(tmp_path / "bpe", model, tokenizer)
    run = draw(tmp_path / "bpe", tmp_path / "run", samples=16, decoding=Decoding(max_tokens=4, stop=stop))
    found = ask(run, tmp_path / "bpe", name="itself")
    rows, same_number = rows_of(run), 0
    for row in rows:
        [ids] = encode_answers(tokenizer, [row["text"]])
        ids = [*ids, *([tokenizer.eos_token_id] if row["finish"] == "stop" and not stop else [])]
        known = row["tokens:itself"] > 0 and not (stop and row["finish"] == "stop")
        assert row["retokenised:itself"] == ((hash_tokens(ids) != row["tokens_hash"]) if known else None)
        same_number += bool(row["retokenised:itself"]) and row["tokens:itself"] == row["tokens"]
    assert same_number
    assert found.retokenised == sum(bool(row["retokenised:itself"]) for row in rows)
    assert f"{found.retokenised} are other tokens for it than were drawn" in found.words()
    assert found.agreement is not None
    assert (found.agreement.retokenised, found.agreement.apart) == (found.retokenised, 0)
    assert found.agreement.highest < 1e-4
    assert ask(run, tmp_path / "bpe", name="itself") == replace(found, now=0)


def test_the_first_samples_and_later_the_rest(run: Path, checkpoint: Path) -> None:
    first = ask(run, checkpoint, samples=5)
    assert (first.now, first.samples) == (PROBLEMS * 5, PROBLEMS * SAMPLES)
    before = {(r["problem_id"], r["sample"]): (r["logprob:qwen3"], r["tokens:qwen3"]) for r in rows_of(run)}
    assert all((tokens is not None) == (index < 5) for (_, index), (_, tokens) in before.items())
    assert ask(run, checkpoint, samples=3).now == 0
    rest = ask(run, checkpoint)
    assert rest.now == PROBLEMS * (SAMPLES - 5)
    after = {(r["problem_id"], r["sample"]): (r["logprob:qwen3"], r["tokens:qwen3"]) for r in rows_of(run)}
    assert all(after[key] == kept for key, kept in before.items() if key[1] < 5)
    assert_scores_are_those_of_each_answer_alone(run, checkpoint, "qwen3")


def test_a_scored_run_is_left_alone(run: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(run, checkpoint)
    before = {p.name: p.stat().st_mtime_ns for p in run.rglob("*")}
    monkeypatch.setattr(scoring, "load_model", None)  # the model is not even loaded
    found = ask(run, checkpoint)
    assert (found.now, found.scored > 50, found.agreement is not None) == (0, True, True)
    assert {p.name: p.stat().st_mtime_ns for p in run.rglob("*")} == before


def test_killed_again_and_again_it_ends_where_an_undisturbed_one_does(
    drawn: Path, checkpoint: Path, tmp_path: Path
) -> None:
    whole, broken = (Path(shutil.copytree(drawn, tmp_path / name)) for name in ("whole", "broken"))
    most = touches(lambda: ask(whole, checkpoint, tokens=40))
    hits = kill_again_and_again(lambda: ask(broken, checkpoint, tokens=40), most, kills=6, seed=1)
    assert hits >= 2
    assert ask(broken, checkpoint).now == 0
    for found, wanted in zip(rows_of(broken), rows_of(whole), strict=True):
        assert found.pop("logprob:qwen3") == pytest.approx(wanted.pop("logprob:qwen3"), abs=1e-5)
        assert found == wanted


def test_a_part_is_saved_while_it_is_scored(run: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part may be all there is of a run, and a judge slow."""
    monkeypatch.setattr(scoring, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(scoring, "PIECE_PACKS", 1)
    logprobs, calls = Scorer.logprobs, 0

    def failing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return logprobs(*arguments)

    monkeypatch.setattr(Scorer, "logprobs", failing)
    with pytest.raises(KeyboardInterrupt):
        ask(run, checkpoint, tokens=20)
    saved = sum(row.get("tokens:qwen3") is not None for row in rows_of(run))
    assert 0 < saved < 24  # of the first two parts of 12
    assert ask(run, checkpoint).now == PROBLEMS * SAMPLES - saved
    assert_scores_are_those_of_each_answer_alone(run, checkpoint, "qwen3")


def test_equal_answers_are_scored_once(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = [Problem(id=name, prompt=f"1 2 {name}=4:", answer=None) for name in "56"]
    texts = [("5", "1+2=3", "stop"), ("6", "1+2=3", "stop"), ("5", "1+2=3", "stop"), ("5", "1+2=3", "length")]
    store_of(tmp_path / "run", problems, texts * 20)
    passed: list[int] = []
    logprobs = Scorer.logprobs

    def counting(self: Scorer, packs: Sequence[Pack], *rest: Any) -> Any:
        passed.append(sum(pack.B for pack in packs))
        return logprobs(self, packs, *rest)

    monkeypatch.setattr(Scorer, "logprobs", counting)
    assert ask(tmp_path / "run", checkpoint).scored == 80
    assert sum(passed) == 3
    assert_scores_are_those_of_each_answer_alone(tmp_path / "run", checkpoint, "qwen3")


def test_another_model_under_the_same_name_is_refused(run: Path, checkpoint: Path, moe_checkpoint: Path) -> None:
    ask(run, checkpoint, name="judge", samples=2)
    before = rows_of(run)
    for judge, settings, says in (
        (moe_checkpoint, {}, f"of model {hash_model(checkpoint)}, not of {hash_model(moe_checkpoint)}"),
        (checkpoint, {"dtype": "bfloat16"}, "of dtype float32, not of bfloat16"),
    ):
        with pytest.raises(ReachlabError, match=f"its scores by 'judge' are {says}; give this judge another --name"):
            ask(run, judge, name="judge", **settings)
    assert rows_of(run) == before
    ask(run, moe_checkpoint, name="other", samples=2)
    assert {"logprob:judge", "logprob:other"} <= rows_of(run)[0].keys()


def test_judging_again_keeps_the_scores(run: Path, checkpoint: Path) -> None:
    ask(run, checkpoint)
    before = rows_of(run)
    store = SampleStore(RunFolder(run))
    for part in store.parts():
        store.rejudge(part, [Judged(Verdict.unscored("lost")) for _ in store.part(part)])
    assert rows_of(run) != before
    verify(VerifyConfig(run=str(run)))
    assert rows_of(run) == before
    [schema] = {store.schema(part) for part in store.parts()}
    assert schema.field("logprob:qwen3").metadata == {
        b"model": hash_model(checkpoint).encode(),
        b"dtype": b"float32",
        **{k: v for k, v in (schema.field("logprob:qwen3").metadata or {}).items() if k.startswith(b"PARQUET")},
    }
    assert (str(schema.field("logprob:qwen3").type), str(schema.field("tokens:qwen3").type)) == ("float", "int32")


def test_what_cannot_be_scored(tmp_path: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    torch.manual_seed(0)
    shape = {"vocab_size": len(tokenizer), "n_positions": 12, "n_embd": 32, "n_layer": 1, "n_head": 2}
    gpt2 = GPT2LMHeadModel(GPT2Config(**shape, eos_token_id=1, bos_token_id=None, pad_token_id=0))
    save_model(tmp_path / "gpt2", gpt2, tokenizer)
    problems = [Problem(id="a", prompt="1 2=3:", answer=None)]
    texts = [
        ("a", "1+2=3", "stop"),  # 6 + 6 tokens
        ("a", "1+2=33", "stop"),  # the last of 13 is not read
        ("a", "1+2=333", "stop"),
        ("a", "", "stop"),  # an end of text
        ("a", "", "length"),
        ("a", "Größe", "stop"),
    ]
    store_of(tmp_path / "run", problems, texts)
    remarks: list[str] = []
    [found] = score(ScoreConfig(runs=(str(tmp_path / "run"),), model=str(tmp_path / "gpt2")), remarks.append)
    rows = rows_of(tmp_path / "run")
    assert [row["tokens:gpt2"] for row in rows] == [6, 7, 8, 1, 0, 6]
    assert [row["logprob:gpt2"] is not None for row in rows] == [True, True, False, True, False, False]
    assert (found.scored, found.empty, found.unfit, found.now) == (3, 1, 2, 6)
    assert any("1 samples have no score: with their prompts they are longer than the judge's 12" in r for r in remarks)
    assert any("no token for a piece of their text" in r for r in remarks)
    assert ask(tmp_path / "run", tmp_path / "gpt2").now == 0
    # Where the judge wrote them itself, it had a token: what it drew is lost in the text.
    store_of(tmp_path / "own", problems, texts[-1:])
    RunFolder(tmp_path / "own").write("run.json", json.dumps({"config": {"model": hash_model(tmp_path / "gpt2")}}))
    score(ScoreConfig(runs=(str(tmp_path / "own"),), model=str(tmp_path / "gpt2")), remarks.append)
    assert "the judge wrote them, but their texts do not lead back to what it drew" in remarks[-1]


def test_rotary_positions_end_too(tmp_path: Path, checkpoint: Path) -> None:
    texts = [("a", "1+" * 29 + "1", "length"), ("a", "1+" * 30, "length")]
    store_of(tmp_path / "run", [Problem(id="a", prompt="1 2=3:", answer=None)], texts)
    found = ask(tmp_path / "run", checkpoint)
    assert (found.scored, found.unfit) == (1, 1)


def test_messages_go_through_the_judges_own_template(tmp_path: Path, checkpoint: Path) -> None:
    judge = Path(shutil.copytree(checkpoint, tmp_path / "chatting"))
    (judge / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}={% endfor %}:")
    message = Chat(({"role": "user", "content": "1 2"},))
    problems = [Problem(id="a", prompt=message, answer=None), Problem(id="b", prompt="1 2=:", answer=None)]
    store_of(tmp_path / "run", problems, [("a", "1+2=3", "stop"), ("b", "1+2=3", "stop"), ("a", "1+2", "length")])
    ask(tmp_path / "run", judge)
    rows = rows_of(tmp_path / "run")
    assert rows[0]["logprob:chatting"] == pytest.approx(rows[2]["logprob:chatting"], abs=1e-5)
    assert_scores_are_those_of_each_answer_alone(tmp_path / "run", judge, "chatting")
    with pytest.raises(
        ReachlabError, match="the prompt is a chat, and this checkpoint's tokenizer has no chat template"
    ):
        ask(tmp_path / "run", checkpoint)


def test_reference_solutions_and_several_runs_at_once(run: Path, checkpoint: Path, tmp_path: Path) -> None:
    write_reference(ReferenceConfig(task=TASK, problems=PROBLEMS, out=str(tmp_path / "reference")))
    folders = (str(run), str(tmp_path / "reference"))
    first, second = score(ScoreConfig(runs=folders, model=str(checkpoint), samples=2))
    assert (first.now, second.now, second.scored, second.agreement) == (PROBLEMS * 2, PROBLEMS, PROBLEMS, None)
    model, tokenizer = load_model(checkpoint)
    prompts = {p.id: p.prompt for p in SampleStore(RunFolder(tmp_path / "reference")).problems()}
    for row in rows_of(tmp_path / "reference"):
        [prompt], [answer] = encode(tokenizer, [str(prompts[row["problem_id"]])]), encode(tokenizer, [row["text"]])
        wanted = alone(model, prompt, [*answer, tokenizer.eos_token_id])
        assert row["logprob:qwen3"] == pytest.approx(wanted, abs=1e-4)


def test_a_run_behind_a_url(drawn: Path, checkpoint: Path) -> None:
    url = "memory://scored/run"
    folder = RunFolder(url)
    folder.fs.put(str(drawn), folder.path, recursive=True)
    assert ask(url, checkpoint).now == PROBLEMS * SAMPLES
    assert_scores_are_those_of_each_answer_alone(url, checkpoint, "qwen3")
    folder.fs.rm("/scored", recursive=True)


def test_bad_input(run: Path, checkpoint: Path, tmp_path: Path) -> None:
    before = rows_of(run)
    (tmp_path / "empty").mkdir()
    for other, judge, says in (
        (tmp_path / "empty", checkpoint, "not a run of samples"),
        (run, tmp_path / "empty", "no checkpoint here"),
    ):
        with pytest.raises(ReachlabError, match=says):
            score(ScoreConfig(runs=(str(run), str(other)), model=str(judge)))
    assert rows_of(run) == before
    store = SampleStore(RunFolder(run))
    store.write_problems(store.problems()[1:])
    with pytest.raises(ReachlabError, match=r"part-.*: problem '.*' is not in the run's problems\.jsonl"):
        ask(run, checkpoint)
    store.write_problems([replace(p, prompt="") for p in SampleStore(RunFolder(run)).problems()])
    with pytest.raises(ReachlabError, match="makes no token of the prompt of problem"):
        ask(run, checkpoint)


def test_a_run_without_samples(tmp_path: Path, checkpoint: Path) -> None:
    store = SampleStore(RunFolder(tmp_path))
    store.write_problems([Problem(id="a", prompt="1 2=3:", answer=None)])
    found = ask(tmp_path, checkpoint)
    assert (found.samples, found.now, found.scored) == (0, 0, 0)


def test_weights_that_are_damaged(run: Path, checkpoint: Path, tmp_path: Path) -> None:
    model, tokenizer = load_model(checkpoint)
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))
    save_model(tmp_path / "damaged", model, tokenizer)
    with pytest.raises(ReachlabError, match="the judge's logits are not finite"):
        ask(run, tmp_path / "damaged")


@pytest.mark.parametrize("name", ["samples", "tokens", "threads"])
def test_settings_that_cannot_be(name: str) -> None:
    with pytest.raises(ReachlabError, match=f"{name}=-1 must be 0"):
        ScoreConfig(runs=("a",), model="b", **{name: -1})  # type: ignore[arg-type]
    with pytest.raises(ReachlabError, match="name at least one run folder"):
        ScoreConfig(runs=(), model="b")


def test_a_judge_is_called_by_its_folder(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "rl" / "model")
    shutil.copytree(checkpoint, tmp_path / "rl" / "checkpoints" / "step-10")
    assert judge_name(checkpoint) == "qwen3"
    assert judge_name(tmp_path / "rl") == judge_name(tmp_path / "rl" / "model") == "rl"
    assert judge_name(tmp_path / "rl" / "checkpoints" / "step-10") == "step-10"


def test_as_a_user_sees_it(run: Path, checkpoint: Path, tmp_path: Path, command: Command) -> None:
    code, out, err = command("score", run, "--model", checkpoint, "--samples", "4")
    assert (code, "score run: 24/24" in err) == (0, True)
    first, second, *meaning = out.splitlines()
    assert first.startswith(f"{run}: ")
    assert "of 72 samples scored by qwen3, 24 now" in first
    assert second.startswith("  the sampler's own log-probabilities differ by ")
    assert "`reachlab perplexity` puts" in " ".join(meaning)
    code, out, _ = command("score", run, "--model", checkpoint, "--samples", "4", "--json")
    [found] = json.loads(out)
    assert (found["now"], found["agreement"]["apart"]) == (0, 0)
    code, out, _ = command("perplexity", run)
    assert code == 0
    assert "under qwen3" in out
    code, out, _ = command("perplexity", run, "--json", "--resamples", "100")
    [cell] = json.loads(out)["cells"]
    assert (cell["judge"], cell["writer"], cell["own"], cell["samples"]) == ("qwen3", "run", True, 72)
    code, _, err = command("perplexity", tmp_path)
    assert (code, err.startswith("error: ")) == (2, True)
    code, _, err = command("perplexity")
    assert (code, "name at least one run folder" in err) == (2, True)
