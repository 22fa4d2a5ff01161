import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from reachlab.serving.guard import ALWAYS, Rules, guarded

HERE = Rules("127.0.0.1")


def client(rules: Rules, base: str) -> TestClient:
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("the page"))])
    return TestClient(guarded(app, rules), base_url=base, follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:1", "[::1]:8765", "127.0.0.1"])
def test_this_machine_is_answered(host: str) -> None:
    answer = client(HERE, "http://localhost").get("/", headers={"host": host})
    assert answer.text == "the page"
    assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:8765", "192.0.2.1", "", "[::1", "a@localhost@b"]
)
def test_a_name_that_was_made_to_resolve_here_is_not(host: str) -> None:
    refused = HERE.refuse("GET", {"host": host})
    assert refused is not None
    assert refused[0] == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:9999"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
)
def test_another_origin_is_refused(headers: dict[str, str]) -> None:
    answer = client(HERE, "http://localhost:8765").get("/", headers=headers)
    assert answer.status_code == 403
    assert "the page" not in answer.text


def test_a_link_from_elsewhere_and_the_page_itself_are_answered() -> None:
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    own = {"origin": "http://localhost:8765", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
    with client(HERE, "http://localhost:8765") as page:
        assert page.get("/", headers=link).text == page.get("/", headers=own).text == "the page"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_get_is_answered(method: str) -> None:
    answer = client(HERE, "http://localhost").request(method, "/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_off_the_loopback_a_token_is_asked_for_once() -> None:
    rules = Rules("0.0.0.0", "secret", 8765)
    page = client(rules, "http://192.0.2.7:8765")
    assert page.get("/").status_code == 403
    assert page.get("/?token=secrets").status_code == 403
    assert page.get("/", headers={"cookie": f"{rules.cookie}=wrong"}).status_code == 403
    taken = page.get("/?token=secret")
    assert (taken.status_code, taken.headers["location"]) == (303, "/")
    assert "HttpOnly" in taken.headers["set-cookie"]
    assert taken.headers["set-cookie"].startswith("reachlab-token-8765=secret;")
    assert "samesite=lax" in taken.headers["set-cookie"].lower()  # a link in a web terminal is followed to the page
    assert page.get("/").text == "the page"
    # A name that only resolves here is no way in, whoever knows the token.
    assert page.get("/?token=secret", headers={"host": "evil.example"}).status_code == 421


@pytest.mark.parametrize("stray", ["a/b=1", 'x={"a":1}', "a[b]=1", "path=/foo", "é=1", "reachlab-token-1=other", ""])
def test_cookies_of_other_ports_lock_nobody_out(stray: str) -> None:
    asked = Rules("0.0.0.0", "secret", 8765)
    assert HERE.knows_token(stray)
    assert asked.knows_token(f"{stray}; reachlab-token-8765=secret; {stray}")
    assert not asked.knows_token(f"{stray}; reachlab-token-8766=secret; reachlab-token-8765=é")
