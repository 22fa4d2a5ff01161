import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.served import Reply, Scripted, completion, serving
from tests.models.vlm import llava
from tests.tiny import TASK, reachlab, rows_of, tiny_model, tiny_tokenizer

from reachlab.engines import openai as module
from reachlab.engines.config import Decoding, Servers
from reachlab.engines.openai import OpenAIEngine, open_engine
from reachlab.errors import ReachlabError
from reachlab.models.checkpoint import save_model
from reachlab.models.vision import processor_of
from reachlab.pictures.drawn_scenes import scene
from reachlab.pictures.reference import data_url
from reachlab.sampling.config import SampleConfig
from reachlab.sampling.run import sample
from reachlab.types import Chat, Illustrated

DECODING = Decoding(max_tokens=8)
SEEDS = [list(range(40)), list(range(100, 130))]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(module, "LONGEST_WAIT_S", 0.1)


def servers(*urls: str, **options: Any) -> Servers:
    return Servers(**{"base_url": urls, "concurrency": 4, "request_timeout": 5.0, "patience": 20.0, **options})


def texts(engine: OpenAIEngine, decoding: Decoding = DECODING) -> list[list[str]]:
    try:
        return [[a.text for a in row] for row in engine.answer(["one", "two"], SEEDS, decoding)]
    finally:
        engine.close()


WANTED = [[str(seed) for seed in row] for row in SEEDS]


def test_answers_are_in_order_and_carry_what_the_server_says() -> None:
    with Scripted() as server:
        engine = OpenAIEngine(servers(server.url), "")
        told: list[tuple[int, int]] = []
        found = engine.answer(["one", "two"], SEEDS, DECODING, lambda *more: told.append(more))
        engine.close()
    assert engine.name == "openai:test"
    assert [[a.text for a in row] for row in found] == WANTED
    assert {(a.tokens, a.finish, a.logprob) for row in found for a in row} == {(3, "stop", -3.0)}
    assert told == [(1, 3)] * 70
    assert server.most_at_once <= 4
    assert {body["path"] for body in server.asked} == {"/v1/completions"}
    assert {body["prompt"] for body in server.asked} == {"one", "two"}
    assert all(body["max_tokens"] == 8 and body["temperature"] == 1.0 and "stop" not in body for body in server.asked)


def test_messages_go_to_the_chat_endpoint_and_thoughts_belong_to_the_answer() -> None:
    def think(n: int, body: dict[str, Any]) -> Reply | str:
        if body["seed"] == 1:
            message = {"role": "assistant", "content": "5", "reasoning_content": "2 and 3"}
            return 200, completion("", chat=True, message=message)
        return ""

    with Scripted(think) as server:
        engine = OpenAIEngine(servers(server.url), "m")
        messages = Chat(({"role": "user", "content": "2+3?"},))
        ((plain, thought),) = engine.answer([messages], [[0, 1]], DECODING)
        engine.answer([Chat(messages.messages, {"enable_thinking": False})], [[2]], Decoding(max_tokens=8, top_k=3))
        engine.close()
    assert (plain.text, plain.logprob) == ("0", -3.0)
    assert all("chat_template_kwargs" not in body for body in server.asked[:2])
    (told,) = server.asked[2:]
    assert (told["chat_template_kwargs"], told["top_k"]) == ({"enable_thinking": False}, 3)
    assert thought.text == "<think>2 and 3</think>5"
    assert {body["path"] for body in server.asked} == {"/v1/chat/completions"}
    assert server.asked[0]["messages"] == [{"role": "user", "content": "2+3?"}]


@pytest.mark.parametrize(
    "failure",
    [
        (500, {"error": {"message": "out of luck"}}),
        (503, {}),
        (429, {"error": {"message": "slow down"}}),
        (408, {}),
        None,
        (200, {"choices": []}),
        (200, completion("half", finish_reason="abort")),
        (200, completion("half", finish_reason=None)),
    ],
)
def test_what_fails_for_a_while_is_asked_again(failure: Reply) -> None:
    lock, failed = threading.Lock(), set[int]()

    def misbehave(n: int, body: dict[str, Any]) -> Reply | str:
        with lock:
            first = body["seed"] not in failed
            failed.add(body["seed"])
        return failure if first and body["seed"] % 3 == 0 else ""

    with Scripted(misbehave) as server:
        assert texts(OpenAIEngine(servers(server.url), "")) == WANTED
    # No sample more often than it was wanted, none less.
    assert all(count == 1 for count in server.answered.values())
    assert len(server.answered) == 70


def test_retry_after_is_kept_to() -> None:
    times: list[float] = []

    def busy(n: int, body: dict[str, Any]) -> Reply | str:
        times.append(time.monotonic())
        return (429, {}) if n == 0 else ""

    with Scripted(busy) as server:
        server.headers = {"Retry-After": "0.6"}
        engine = OpenAIEngine(servers(server.url, concurrency=1), "")
        engine.answer(["one"], [[1]], DECODING)
        engine.close()
    assert times[1] - times[0] >= 0.6


def test_a_server_that_dies_leaves_its_work_to_the_others() -> None:
    with Scripted() as steady:
        mortal = Scripted()
        mortal.__enter__()

        def die(n: int, body: dict[str, Any]) -> Reply | str:
            if n == 5:
                threading.Thread(target=mortal.stop).start()
            return None if n >= 5 else ""

        mortal.misbehave = die
        assert texts(OpenAIEngine(servers(steady.url, mortal.url), "")) == WANTED
    assert sum(steady.answered.values()) + sum(mortal.answered.values()) == 70
    assert mortal.answered


def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    server = Scripted()
    threading.Timer(0.5, server.__enter__).start()
    assert texts(OpenAIEngine(servers(server.url, request_timeout=0.3), "")) == WANTED
    server.stop()


def test_patience_ends() -> None:
    began = time.monotonic()
    with Scripted(lambda n, body: (500, {"error": {"message": "the disk is full"}})) as server:
        engine = OpenAIEngine(servers(server.url, patience=0.5), "")
        with pytest.raises(ReachlabError, match=r"has answered for 0\.5 s .*the disk is full.*again to go on"):
            texts(engine)
    assert time.monotonic() - began < 10
    with pytest.raises(ReachlabError, match="no server has answered"):
        OpenAIEngine(servers("http://127.0.0.1:9/v1", patience=0.3), "")


def test_a_refusal_is_an_error_at_once() -> None:
    with Scripted(lambda n, body: (400, {"error": {"message": "max_tokens is too large"}})) as server:
        engine = OpenAIEngine(servers(server.url), "")
        with pytest.raises(ReachlabError, match="refuses a request: max_tokens is too large"):
            texts(engine)


def test_the_key_comes_from_the_environment_and_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret-4711")
    with Scripted() as server:
        texts(OpenAIEngine(servers(server.url, api_key_env="MY_KEY"), ""))
    assert server.keys == {"Bearer secret-4711", ""}  # "" is the look at what kind of server it is
    with Scripted(lambda n, body: (401, {"error": {"message": "wrong key secret-4711"}})) as server:
        engine = OpenAIEngine(servers(server.url, api_key_env="MY_KEY"), "")
        with pytest.raises(ReachlabError, match="put the server's key into the environment variable MY_KEY") as error:
            texts(engine)
    assert "secret" not in str(error.value)


def test_log_probabilities_where_they_are_offered() -> None:
    def without(n: int, body: dict[str, Any]) -> Reply | str:
        if "logprobs" in body:
            return 400, {"error": {"message": "logprobs are not supported"}}
        return 200, completion("x", logprobs=None)

    with Scripted(without) as server:
        engine = OpenAIEngine(servers(server.url, concurrency=1), "")
        ((first, second),) = engine.answer(["one"], [[1, 2]], DECODING)
        engine.close()
    assert (first.logprob, second.logprob) == (None, None)
    assert sum("logprobs" in body for body in server.asked) == 1


def test_stop_strings_are_cut_where_the_server_leaves_them_on() -> None:
    with Scripted(lambda n, body: (200, completion("one;two;"))) as server:
        engine = OpenAIEngine(servers(server.url), "")
        ((answer,),) = engine.answer(["one"], [[1]], Decoding(max_tokens=8, stop=(";",), top_k=5))
        engine.close()
    assert answer.text == "one"
    assert server.asked[0]["stop"] == [";"]
    assert server.asked[0]["top_k"] == 5


SAID = {"presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0, "min_p": 0.0, "top_k": -1}
"""What a request says of everything that a server would take from the checkpoint."""
PROMPTS = ("one", Chat(({"role": "user", "content": "one"},)))


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("kind", ["vllm", "sglang", "llamacpp", "test"])
def test_everything_is_said_that_a_server_would_fill_in(kind: str, prompt: Any) -> None:
    """As vLLM and SGLang do for `temperature`, `top_p`, `top_k`, `min_p` and `repetition_penalty`."""
    with Scripted(owned_by=kind) as server:
        engine = OpenAIEngine(servers(server.url), "")
        engine.answer([prompt], [[1, 2]], DECODING)
        engine.close()
    for body in server.asked:
        assert SAID.items() <= body.items()
        assert (body["temperature"], body["top_p"], body["seed"] in (1, 2)) == (1.0, 1.0, True)


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("wanted", [0, 5])
def test_a_server_that_knows_none_of_these_fields(prompt: Any, wanted: int) -> None:
    """Hosted ones refuse what they do not know; log-probabilities are kept, and a wanted top-k."""

    def strict(n: int, body: dict[str, Any]) -> Reply | str:
        unknown = {"min_p", "repetition_penalty", "presence_penalty"} & set(body)
        return (400, {"error": {"message": f"unknown {sorted(unknown)}"}}) if unknown else ""

    with Scripted(strict) as server:
        engine = OpenAIEngine(servers(server.url, concurrency=1), "")
        (answers,) = engine.answer([prompt], [[1, 2, 3]], Decoding(max_tokens=8, top_k=wanted))
        engine.close()
    assert [(a.text, a.logprob) for a in answers] == [("1", -3.0), ("2", -3.0), ("3", -3.0)]
    assert len(server.asked) == 5  # in full, without log-probabilities, without the fields; and then at once
    assert [body.get("top_k") for body in server.asked[2:]] == [wanted or None] * 3


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_a_server_that_would_fill_in_is_never_asked_without(kind: str) -> None:
    def refuse(n: int, body: dict[str, Any]) -> Reply | str:
        return 400, {"error": {"message": "the prompt is too long"}}

    with Scripted(refuse, owned_by=kind) as server:
        engine = OpenAIEngine(servers(server.url), "")
        with pytest.raises(ReachlabError, match="the prompt is too long"):
            texts(engine)
    assert all(SAID.items() <= body.items() for body in server.asked)


def test_seeds_and_log_probabilities_are_choices() -> None:
    with Scripted(lambda n, body: (200, completion(f"{n}", logprobs=None))) as server:
        config = SampleConfig(
            model="m", task=TASK, out="x", engine="openai", servers=servers(server.url), request_seeds=False,
            logprobs=False,
        )  # fmt: skip
        engine = open_engine(config)
        ((answer,),) = engine.answer(["one"], [[1]], DECODING)
        engine.close()
    assert not engine.seeded
    assert answer.logprob is None
    assert not {"seed", "logprobs"} & set(server.asked[0])


def test_an_answer_that_the_server_cut_by_a_rule_of_its_own_is_no_sample() -> None:
    """vLLM takes the `max_new_tokens` of a checkpoint's generation_config.json for a limit, whatever is asked for."""
    with Scripted(lambda n, body: (200, completion("half", finish_reason="length"))) as server:
        engine = OpenAIEngine(servers(server.url), "")
        with pytest.raises(ReachlabError, match="cut an answer after 3 of 8 tokens"):
            texts(engine)


def test_the_model_is_looked_for(tmp_path: Path) -> None:
    with Scripted() as server:
        with pytest.raises(ReachlabError, match="has no model 'n'; it serves m"):
            OpenAIEngine(servers(server.url), "n")
        save_model(tmp_path / "mine", tiny_model(), tiny_tokenizer())
        save_model(tmp_path / "other", tiny_model("olmoe"), tiny_tokenizer())
        config = SampleConfig(
            model=str(tmp_path / "mine"), task=TASK, out="x", engine="openai", servers=servers(server.url)
        )
        server.model["root"] = str(tmp_path / "mine")
        open_engine(config).close()
        server.model["root"] = str(tmp_path / "other")
        with pytest.raises(ReachlabError, match="weights are not those of --model"):
            open_engine(config)


@pytest.mark.parametrize(
    ("url", "says"),
    [((), "needs a server"), (("localhost:8000",), "not an address"), (("http://me:pass@host/v1",), "no password")],
)
def test_bad_addresses(url: tuple[str, ...], says: str) -> None:
    config = SampleConfig(model="m", task=TASK, out="x", engine="openai", servers=Servers(base_url=url))
    with pytest.raises(ReachlabError, match=says) as error:
        open_engine(config)
    assert ":pass@" not in str(error.value)


def test_a_run_of_a_served_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the model is on this machine; an interrupted run draws only what is missing; no key is stored."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-4711")
    stop_after = 50

    def until(n: int, body: dict[str, Any]) -> Reply | str:
        return "" if n < stop_after else (400, {"error": {"message": "enough"}})

    with Scripted(until) as server:
        config = SampleConfig(
            model="m", task=TASK, problems=10, samples=16, out=str(tmp_path / "run"), engine="openai",
            servers=servers(server.url),
        )  # fmt: skip
        with pytest.raises(ReachlabError, match="enough"):
            sample(config)
        kept = len(rows_of(tmp_path / "run"))
        stop_after = 10**6
        result = sample(config)
    assert (result.drawn, result.stored) == (160 - kept, 160)
    rows = rows_of(tmp_path / "run")
    assert len({(row["problem_id"], row["sample"]) for row in rows}) == 160
    assert all(row["text"] == str(row["seed"]) and row["engine"] == "openai:test" for row in rows)
    assert len({row["seed"] for row in rows}) == 160
    for file in (tmp_path / "run").rglob("*"):
        assert not file.is_file() or b"secret" not in file.read_bytes()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    model = tiny_model()
    # What a checkpoint may say of how it likes to be sampled, none of which may decide.
    model.generation_config.update(
        do_sample=True, repetition_penalty=3.0, min_p=0.5, typical_p=0.2, no_repeat_ngram_size=1, top_k=1
    )
    save_model(folder, model, tiny_tokenizer())
    return folder


@pytest.fixture(scope="module")
def transformers_serve(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = Path(sys.executable).with_name("transformers")
    command: list[str | Path] = [program, "serve", str(checkpoint), "--port", "{port}", "--device", "cpu"]
    with serving(command, "/health", tmp_path_factory.mktemp("serve") / "log.txt") as url:
        yield url


def test_pictures_are_parts_of_what_the_user_says() -> None:
    """In a chat, and for a plain text, for which the protocol has no pictures."""
    picture = scene("chart", {"r": 3}, 0, 32)
    chat = Chat(({"role": "system", "content": "Be brief."}, {"role": "user", "content": "How high?"}))
    with Scripted() as server:
        engine = OpenAIEngine(servers(server.url), "m")
        engine.answer([Illustrated("How high?", (picture,)), Illustrated(chat, (picture,))], [[1], [2]], DECODING)
        engine.close()
    assert {body["path"] for body in server.asked} == {"/v1/chat/completions"}
    said = {"type": "text", "text": "How high?"}
    wanted = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": data_url(picture)}}, said]}]
    plain, other = sorted((body["messages"] for body in server.asked), key=len)
    assert plain == wanted
    assert other == [chat.messages[0], *wanted]
    assert chat.messages[1]["content"] == "How high?"


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, tokenizer = llava()
    processor_of(tokenizer).chat_template = (
        "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}"
        "{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endif %}{% endfor %}"
    )
    tokenizer.chat_template = processor_of(tokenizer).chat_template
    folder = tmp_path_factory.mktemp("model") / "seeing"
    save_model(folder, model, tokenizer)
    return folder


@pytest.mark.slow
def test_transformers_serve_sees(seeing: Path, tmp_path: Path) -> None:
    """Greedy answers about pictures are those of the embedded engine."""
    program = Path(sys.executable).with_name("transformers")
    command: list[str | Path] = [program, "serve", str(seeing), "--port", "{port}", "--device", "cpu"]
    words = ("sample", "--model", seeing, "--task", "scenes,size=32", "--problems", "6", "--max-tokens", "8")
    how = ("--temperature", "0", "--samples", "1")
    with serving(command, "/health", tmp_path / "log.txt") as url:
        for name, where in (("here", ()), ("there", ("--engine", "openai", "--base-url", url))):
            found = reachlab(*words, *how, *where, "--out", tmp_path / name)
            assert found.returncode == 0, found.stderr
    here, far = rows_of(tmp_path / "here"), rows_of(tmp_path / "there")
    assert [row["text"] for row in here] == [row["text"] for row in far]
    assert len({row["text"] for row in here}) > 2


@pytest.mark.slow
def test_transformers_serve(checkpoint: Path, transformers_serve: str, tmp_path: Path) -> None:
    """Greedy answers are those of the embedded engine; drawn ones differ from each other, as the model's own do."""
    words = ("sample", "--model", checkpoint, "--task", TASK, "--problems", "6", "--max-tokens", "12")
    there = ("--engine", "openai", "--base-url", transformers_serve, "--concurrency", "2")
    for temperature, samples in (("0", "1"), ("1", "24")):
        how = ("--temperature", temperature, "--samples", samples)
        for name, where in (("here", ()), ("there", there)):
            found = reachlab(*words, *how, *where, "--out", tmp_path / f"{name}{temperature}")
            assert found.returncode == 0, found.stderr
    here, far = rows_of(tmp_path / "here0"), rows_of(tmp_path / "there0")
    assert [row["text"] for row in here] == [row["text"] for row in far]
    assert [(row["tokens"], row["finish"]) for row in here] == [(row["tokens"], row["finish"]) for row in far]
    assert {row["engine"] for row in far} == {"openai:transformers"}
    here, far = rows_of(tmp_path / "here1"), rows_of(tmp_path / "there1")
    assert len({row["text"] for row in far}) > 0.8 * len({row["text"] for row in here})
