"""A stand-in for a vLLM server that takes weights: it draws with the embedded engine, from the folder it was told."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch

from reachlab.engines.config import Decoding
from reachlab.engines.transformers import TransformersDecoder
from reachlab.models.checkpoint import load_model


class WeightsServer:
    """Serves a checkpoint; `deaf` says yes to new weights and keeps its own after so many pushes."""

    def __init__(self, folder: Path, deaf_after: int = 1 << 30):
        self.lock, self.calls, self.pushes, self.deaf_after = threading.Lock(), list[str](), 0, deaf_after
        self.fails, self.failing = 0, "completions"
        """So many requests to what ends so are answered with 503 first."""
        self.load(folder)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self.say({"data": [{"id": "policy"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
                with outer.lock:
                    if outer.fails and self.path.endswith(outer.failing):
                        outer.fails -= 1
                        self.say({"error": "busy"}, 503)
                        return
                    self.say(outer.answer(self.path, body))

            def say(self, body: dict[str, Any], status: int = 200) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def load(self, folder: Path) -> None:
        self.model, self.tokenizer = load_model(folder)
        self.model.eval()
        self.decoder = TransformersDecoder(self.model, self.tokenizer)

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(path)
        if path == "/collective_rpc":
            assert body["method"] == "reload_weights"
            self.pushes += 1
            if self.pushes <= self.deaf_after:
                self.load(Path(body["kwargs"]["weights_path"]))
            return {"results": [None]}
        if path == "/reset_prefix_cache":
            return {"success": True}
        prompt: list[int] = body["prompt"]
        if "prompt_logprobs" in body:
            with torch.no_grad():
                logprobs_TV = self.model(torch.tensor([prompt])).logits[0, :-1].double().log_softmax(-1)
            said = [{str(i): {"logprob": float(row_V[i])}} for i, row_V in zip(prompt[1:], logprobs_TV, strict=True)]
            return {"choices": [{"prompt_logprobs": [None, *said]}]}
        names = ("temperature", "top_p", "top_k", "max_tokens")
        decoding = Decoding(**{name: body[name] for name in names}, stop=tuple(body["stop"]))
        ((drawn,),) = self.decoder.generate([prompt], [[body["seed"]]], decoding)
        n = len(drawn.tokens)
        choice = {
            "index": 0,
            "text": drawn.text,
            "finish_reason": drawn.finish,
            "token_ids": drawn.tokens.tolist(),
            "prompt_token_ids": prompt,
            "logprobs": {"token_logprobs": [drawn.logprob / n] * n},
        }
        return {"choices": [choice], "usage": {"completion_tokens": n}}

    def __enter__(self) -> "WeightsServer":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
