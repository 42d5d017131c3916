"""Puts the pages of an institution onto its app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from api.errors import NotFound, http_refusal, problem_response
from api.web.live import News
from api.web.rendering import HERE, Page, PageRoute, make_templates
from api.web.words import HTML_LANGUAGE, LANGUAGES, catalogue

if TYPE_CHECKING:
    from fastapi import FastAPI

router = APIRouter(route_class=PageRoute, include_in_schema=False)

COLOURS: Final = (
    "paper", "surface", "sunken", "line", "edge", "ink", "ink-soft", "ink-faint", "brand", "brand-strong",
    "brand-paper", "link", "good", "good-paper", "bad", "bad-paper", "wait", "wait-paper", "info",
    "info-paper", "focus",
)  # fmt: skip
"""The tokens of colour that the design page shows."""


def install(app: FastAPI) -> None:
    """Give the app its templates, files and live news, and pages for browsers that go astray."""
    app.state.templates = make_templates()
    for language in LANGUAGES:
        catalogue(language)  # compiled now, so that no visitor waits for it
    app.state.news = News()
    app.state.resources.append(app.state.news.running)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")


def page_routers(kind: str) -> list[APIRouter]:
    """The routes of the pages of an institution of this kind."""
    if kind == "bank":
        from api.web import account_pages, bank_pages, history_pages, pay_pages, payment_pages

        rooms = [bank_pages, pay_pages, payment_pages, history_pages, account_pages]
        return [router, *(room.router for room in rooms)]
    from api.web import central_bank_pages

    return [router, central_bank_pages.router]


async def _on_http_error(request: Request, error: Exception) -> Response:
    """A browser that went astray is answered with a page, a program with a problem document."""
    assert isinstance(error, HTTPException)
    refusal = http_refusal(error.status_code)
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/"):
        return Page(request).refusal(refusal)
    return problem_response(refusal, error.headers)


@router.get("/manifest.webmanifest")
async def manifest(request: Request) -> Response:
    """What a phone needs to put the pages beside its apps."""
    page = Page(request)
    name = page.institution.settings.institution_name
    content = {
        "name": name,
        "short_name": name[:24],
        "lang": HTML_LANGUAGE[page.language],
        "start_url": "/wallet" if page.institution.settings.kind == "bank" else "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f4f7f5",
        "theme_color": "#0c6a56",
        "icons": [
            {"src": "/static/mark.svg", "sizes": "any", "type": "image/svg+xml"},
            {"src": "/static/icon-180.png", "sizes": "180x180", "type": "image/png"},
            {
                "src": "/static/icon-512.png",
                "sizes": "512x512",
                "type": "image/png",
                "purpose": "any maskable",
            },
        ],
    }
    return JSONResponse(content, media_type="application/manifest+json")


@router.get("/design")
async def design(request: Request) -> Response:
    """Every part that pages are made of, in both themes. Exists in a sandbox only."""
    page = Page(request)
    if not page.institution.settings.is_sandbox:
        raise NotFound("page")
    return page.answer("design.html", tokens=COLOURS)


@router.get("/language/{language}")
async def set_language(request: Request, language: str, next: str = "/") -> Response:  # noqa: A002 - the field's name
    """Remember the visitor's language, and go back to where they were."""
    if language not in LANGUAGES:
        raise NotFound("language")
    is_ours = next.startswith("/") and not next.startswith(("//", "/\\")) and next.isprintable()
    response = RedirectResponse(next if is_ours else "/", status_code=303)
    Page(request).set_cookie(response, "florin_language", language)
    return response
