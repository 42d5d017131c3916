"""The description of the HTTP surface, and a running node held to it by random requests over mTLS."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import requests
import schemathesis
from http_calls import answer_of, call
from hypothesis import HealthCheck, Phase, given, settings
from node_builders import CHAIN_ID, CONTRACT, DOMAIN_NAME, Home
from node_process import NodeProcess
from open_doors import certificates
from policy_builders import bundled
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from wallet_node.callers import VERBS, Verb
from wallet_node.journal.verification import verify_file
from wallet_node.transport.endpoints import AUTHORITY, IDENTITY
from wallet_node.transport.routes import OWN_ROUTES, ROUTES, WIRE_ROUTES, Application, description

DESCRIPTION = json.loads(json.dumps(description()))
SURFACE = schemathesis.openapi.from_dict(DESCRIPTION)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]

EXAMPLES = 8
NO_SCHEMA_SAYS = {"ContradictoryRequest", "CredentialMalformed"}
"""What is refused with 400 though it is as described: the description says so."""
EVERYTHING = f"""
callers:
  - {{name: all, verbs: [{", ".join(get_args(Verb))}], requests_per_s: 1000000}}
  - {{name: api, verbs: [read]}}
""".encode()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DESCRIPTION["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def test_every_route_is_described_with_the_verb_that_it_needs() -> None:
    described = {(method, path): operation for method, path, operation in operations()}
    assert set(described) == {*ROUTES, *WIRE_ROUTES, *OWN_ROUTES}
    for key, operation in described.items():
        assert (VERBS[key] or "every known caller") in operation["description"]
        assert operation["summary"]
        assert {"400", "403", "429", "503"} <= set(operation["responses"])


def test_every_reference_leads_somewhere_and_patterns_are_of_json_schema() -> None:
    text = json.dumps(DESCRIPTION)
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in DESCRIPTION["components"]["schemas"]
    assert r"\\A" not in text
    assert r"\\Z" not in text
    payment = DESCRIPTION["components"]["schemas"]["Payment"]
    assert payment["properties"]["payer"]["pattern"] == "^0x[0-9a-fA-F]{40}$"
    assert payment["additionalProperties"] is False


async def test_the_node_tells_its_own_description(home: Home) -> None:
    status, content_type, told = await call(home.open(), "GET", "/openapi.json")
    assert (status, content_type, told) == (200, "application/json", DESCRIPTION)


async def test_a_wrong_method_is_told_the_right_ones(home: Home) -> None:
    status, headers, _ = await answer_of(Application(home.open()), "DELETE", "/v1/keys")
    assert (status, headers["allow"]) == (405, "GET")


class Reached:
    """The running node, and a session with the certificate of a caller who may use all of it."""

    def __init__(self, base_url: str, session: requests.Session) -> None:
        self.base_url = base_url
        self.session = session
        derived = session.post(f"{base_url}/v1/keys:derive", json={"indices": list(range(5))})
        self.payers: list[str] = derived.json()["addresses"]

    def metrics(self) -> str:
        """What the node counted."""
        return self.session.get(f"{self.base_url}/metrics").text


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    directory = tmp_path_factory.mktemp("surface")
    made = certificates(directory / "certificates", "all")
    policy = directory / "policy.yaml"
    policy.write_bytes(bundled("sandbox-bank").source + EVERYTHING)
    node = NodeProcess.make(directory).prepare()
    node.policy = str(policy)
    node.listen = ["all=tls:127.0.0.1:0", "--certificates", str(made / "server")]
    node.start()
    session = requests.Session()
    session.trust_env = False
    session.verify = str(made / "callers" / "all" / AUTHORITY)
    session.cert = str(made / "callers" / "all" / IDENTITY)
    (port,) = re.findall(r"tls:127\.0\.0\.1:(\d+)", Path(node.log[-1]).read_text())
    one = Reached(f"https://127.0.0.1:{port}", session)
    yield one
    counted = one.metrics()
    session.close()
    node.kill()
    assert "florin_wallet_node_ready 1.0\n" in counted
    assert 'status="5' not in counted
    verify_file(node.home / "journal.sqlite3", {})


def lead_to_the_node(body: Any, payers: list[str]) -> None:
    """What fits the description names another chain and unknown keys: name this one, and keys of it."""
    if not isinstance(body, dict):
        return
    if "payments" in body:
        body |= {"chain_id": CHAIN_ID, "contract": CONTRACT, "domain_name": DOMAIN_NAME}
        body |= {"valid_before_s": int(time.time()) + 600}
        body["payments"] = [
            one | {"payer": payers[place % len(payers)], "nonce_floor": one["nonce_floor"] % 1_000}
            for place, one in enumerate(body["payments"])
        ]
    elif "chain_id" in body:
        body |= {"chain_id": CHAIN_ID, "key": "institution", "to": CONTRACT}
    elif "intent" in body:
        for name in body["intent"].keys() & {"payer", "owner", "authorizer"}:
            body["intent"][name] = payers[0]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "does not"])
@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in operations()])
def test_no_request_gets_an_answer_that_is_not_described(
    reached: Reached, method: str, path: str, mode: GenerationMode
) -> None:
    operation = SURFACE[path][method]
    takes = operation.definition.raw.get("requestBody") is not None or len(operation.query) > 0
    if mode.is_negative and not takes:
        pytest.skip("there is nothing to get wrong")

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES if takes else 3,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
    )
    def holds(case: schemathesis.Case) -> None:
        if mode.is_positive:
            case.body = plain(case.body)
            lead_to_the_node(case.body, reached.payers)
        answer = case.call(base_url=reached.base_url, session=reached.session, verify=reached.session.verify)
        # a body above the verb's size is refused before anybody reads what is wrong with it
        checks = [check for check in CHECKS if (check, answer.status_code) != (negative_data_rejection, 413)]
        case.validate_response(answer, checks=checks)
        if mode.is_positive and answer.status_code == 400:
            assert answer.json().get("code") in NO_SCHEMA_SAYS, (case.body, answer.text)

    holds()


def plain(body: Any) -> Any:
    """1.0 is an integer to JSON Schema; to the node it is not."""
    if isinstance(body, dict):
        return {name: plain(part) for name, part in body.items()}
    if isinstance(body, list):
        return [plain(part) for part in body]
    return int(body) if isinstance(body, float) else body
