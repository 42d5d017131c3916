"""`florin chain`: the durable development chain on a loopback port.

    python -m scripts.chain.server --data DIR --port 8545 --fund 0x... --fund 0x...

Ether is given in the genesis by --fund, and later by anvil_setBalance.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from scripts.chain.calls import CallFailed
from scripts.chain.encoding import BadParameter, Json
from scripts.chain.mempool import Refused
from scripts.chain.methods import ChainMethods, NotFound
from scripts.chain.node import ChainNode, Rhythm

log = logging.getLogger("florin.chain")

BLOCK_GAS_LIMIT = 2_000_000_000
REQUEST_BYTES = 64 * 1024 * 1024
THREAD_SWITCH_S = 0.001  # cheap reads answer while a block is made

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
INTERNAL_ERROR, SERVER_ERROR, EXECUTION_REVERTED = -32603, -32000, 3


class RpcServer:
    """JSON-RPC 2.0 over HTTP POST, single and batched; GET /health says where the head is."""

    def __init__(self, node: ChainNode) -> None:
        self._node = node
        self._methods = ChainMethods(node).by_name

    def application(self) -> web.Application:
        """The aiohttp application."""
        application = web.Application(client_max_size=REQUEST_BYTES)
        application.router.add_post("/", self._post)
        application.router.add_get("/health", self._health)
        return application

    async def _health(self, _: web.Request) -> web.Response:
        head = self._node.head
        return _respond({"block_number": head.block_number, "timestamp": head.timestamp})

    async def _post(self, request: web.Request) -> web.Response:
        self._node.note_request()
        try:
            body = msgspec.json.decode(await request.read())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _respond(_failure(None, PARSE_ERROR, f"parse error: {error}"))
        if not isinstance(body, list):
            return _respond(await self._answer(body))
        if not body:
            return _respond(_failure(None, INVALID_REQUEST, "empty batch"))
        return _respond([await self._answer(each) for each in body])

    async def _answer(self, body: Json) -> dict[str, Any]:
        if not isinstance(body, dict) or not isinstance(body.get("method"), str):
            return _failure(None, INVALID_REQUEST, "not a JSON-RPC request")
        request_id, name, params = body.get("id"), body["method"], body.get("params") or []
        method = self._methods.get(name)
        if method is None:
            return _failure(
                request_id, METHOD_NOT_FOUND, f"the method {name} does not exist/is not available"
            )
        if not isinstance(params, list):
            return _failure(request_id, INVALID_PARAMS, "parameters by position are needed")
        try:
            result = await method(*params)
        except Exception as error:
            return _describe(request_id, name, error)
        return {"jsonrpc": "2.0", "id": request_id, "result": result}


def _describe(request_id: Json, name: str, error: Exception) -> dict[str, Any]:
    if isinstance(error, CallFailed) and error.revert_data is not None:
        return _failure(request_id, EXECUTION_REVERTED, error.message, "0x" + error.revert_data.hex())
    if isinstance(error, (CallFailed, Refused, NotFound)):
        return _failure(request_id, SERVER_ERROR, str(error))
    if isinstance(error, (BadParameter, TypeError)):
        return _failure(request_id, INVALID_PARAMS, str(error))
    log.error("%s failed", name, exc_info=error)
    return _failure(request_id, INTERNAL_ERROR, f"{type(error).__name__}: {error}")


def _failure(request_id: Json, code: int, message: str, data: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def _respond(body: Json) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def serve(node: ChainNode, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    runner = web.AppRunner(RpcServer(node).application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        node.close()
        sys.exit(f"cannot serve on {host}:{port}: {error.strerror}; choose another --port")
    mining = asyncio.create_task(node.run())
    bound = runner.addresses[0][1]
    genesis, number = node.genesis_hash.hex(), node.head.block_number
    print(f"chain at http://{host}:{bound}, genesis 0x{genesis}, block {number}", flush=True)
    await stop.wait()
    mining.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await mining
    await runner.cleanup()
    node.close()


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="florin chain", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="directory that keeps the chain")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8545, help="0 picks a free one")
    parser.add_argument("--fund", action="append", default=[], metavar="ADDRESS", help="ether in the genesis")
    parser.add_argument("--block-time", type=float, default=Rhythm.block_time_s, metavar="SECONDS")
    parser.add_argument("--idle-block-time", type=float, default=Rhythm.idle_block_time_s, metavar="SECONDS")
    parser.add_argument("--busy-time", type=float, default=Rhythm.busy_s, metavar="SECONDS")
    parser.add_argument("--gas-limit", type=int, default=BLOCK_GAS_LIMIT)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the chain until it is told to stop."""
    options = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sys.setswitchinterval(THREAD_SWITCH_S)
    funded = [bytes.fromhex(address.removeprefix("0x")) for address in options.fund]
    rhythm = Rhythm(options.block_time, options.idle_block_time, options.busy_time)

    async def run() -> None:
        node = ChainNode(options.data, funded, options.gas_limit, rhythm)
        await serve(node, options.host, options.port)

    asyncio.run(run())


if __name__ == "__main__":
    main()
