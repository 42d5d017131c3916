"""Puts the pages of an institution onto its app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from api.errors import NotFound, http_refusal, problem_response
from api.web.live import News
from api.web.rendering import HERE, Page, PageRoute, make_templates
from api.web.words import LANGUAGES

if TYPE_CHECKING:
    from fastapi import FastAPI

router = APIRouter(route_class=PageRoute, include_in_schema=False)


def install(app: FastAPI) -> None:
    """Give the app its templates, files and live news, and pages for browsers that go astray."""
    app.state.templates = make_templates()
    app.state.news = News()
    app.state.resources.append(app.state.news.running)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


def page_routers(kind: str) -> list[APIRouter]:
    """The routes of the pages of an institution of this kind."""
    if kind == "bank":
        from api.web.bank_pages import router as pages_router
    else:
        from api.web.central_bank_pages import router as pages_router
    return [router, pages_router]


async def _on_http_error(request: Request, error: Exception) -> Response:
    """A browser that went astray is answered with a page, a program with a problem document."""
    assert isinstance(error, HTTPException)
    refusal = http_refusal(error.status_code)
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/"):
        return Page(request).refusal(refusal)
    return problem_response(refusal, error.headers)


@router.get("/language/{language}")
async def set_language(request: Request, language: str, next: str = "/") -> Response:  # noqa: A002 - the field's name
    """Remember the visitor's language, and go back to where they were."""
    if language not in LANGUAGES:
        raise NotFound("language")
    is_ours = next.startswith("/") and not next.startswith(("//", "/\\")) and next.isprintable()
    response = RedirectResponse(next if is_ours else "/", status_code=303)
    Page(request).set_cookie(response, "florin_language", language)
    return response
