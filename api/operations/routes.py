"""HTTP for health, readiness, metrics, reconciliation and the description of the interface."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from api.identity.guard import GuardedRoute
from api.institution import Here
from api.operations import health
from api.operations.openapi import describe

router = APIRouter(route_class=GuardedRoute, tags=["operations"])


@router.get("/healthz")
async def healthz() -> Any:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(here: Here) -> Response:
    """200 when database, chain, signer and indexer are good; else 503, with what each one says."""
    state = await health.readiness(here)
    return JSONResponse(state, status_code=200 if state["is_ready"] else 503)


@router.get("/metrics")
async def metrics(request: Request, here: Here) -> Response:
    """Prometheus metrics."""
    return Response(
        await request.app.state.metrics.render(here), media_type="text/plain; version=0.0.4; charset=utf-8"
    )


@router.get("/v1/reconciliation")
async def reconciliation(here: Here) -> Any:
    """The newest comparison of books and chain, and what is stopped because of it."""
    return await health.reconciliation(here)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """The description of this interface."""
    return JSONResponse(describe(request.app))
