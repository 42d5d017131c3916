"""Templates, and what every page carries: language, headers, cookies, the token of its forms."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from fastapi.exceptions import RequestValidationError
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, RedirectResponse

from api.addresses import address_text
from api.errors import FlorinError, MalformedRequest, failure_of
from api.fields import refusal_of
from api.identity.errors import SessionMissing
from api.identity.guard import GuardedRoute, session_cookie
from api.institution import Institution
from api.web.errors import FormNotOurs
from api.web.formats import Formats
from api.web.words import HTML_LANGUAGE, LANGUAGES, choose_language, reason_translator, translator

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.requests import Request
    from starlette.responses import Response

HERE: Final = Path(__file__).parent
_DAY_S: Final = 24 * 60 * 60


class PageRoute(GuardedRoute):
    """A route whose refusals and failures are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def paged(request: Request) -> Response:
            try:
                return await handle(request)
            except SessionMissing:
                return RedirectResponse("/", status_code=303)
            except FlorinError as refusal:
                return Page(request).refusal(refusal)
            except RequestValidationError as error:
                return Page(request).refusal(refusal_of(error.errors()))
            except (HTTPException, ClientDisconnect):
                raise
            except Exception as error:
                return Page(request).refusal(failure_of(request, error))

        return paged


class Page:
    """One request of the pages: who looks, in which language, and how an answer is made."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.institution: Institution = request.app.state.institution
        self.language = choose_language(
            request.cookies.get("florin_language"), request.headers.get("accept-language", "")
        )
        self.translate = translator(self.language)
        self.formats = Formats.of(self.institution.settings, self.language)
        self.place = request.url.path if request.method == "GET" else "/"
        """Where choosing a language leads back to: what a form was sent to cannot be opened."""
        self._templates: Environment = request.app.state.templates

    @property
    def session_cookie(self) -> str:
        return session_cookie(self.institution)

    @property
    def _visit_cookie(self) -> str:
        return f"florin_visit_{self.institution.settings.institution}"

    def render(self, template: str, **values: Any) -> str:
        """The text of a template."""
        settings = self.institution.settings
        return self._templates.get_template(template).render(
            t=self.translate,
            reason=reason_translator(self.language),
            money=self.formats.money,
            formats=self.formats,
            address=address_text,
            institution=settings,
            language=self.language,
            html_language=HTML_LANGUAGE[self.language],
            languages=LANGUAGES,
            html_languages=HTML_LANGUAGE,
            path=self.place,
            **values,
        )

    def answer(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page with its forms' token."""
        secret = self._form_secret() or secrets.token_urlsafe(16)
        response = HTMLResponse(
            self.render(template, form_token=_token_of(secret), **values), status_code=status
        )
        if self._form_secret() is None:
            self.set_cookie(response, self._visit_cookie, secret)
        return response

    def refusal(self, refusal: FlorinError) -> HTMLResponse:
        """A refusal as a page."""
        return self.answer("refusal.html", status=refusal.status, refusal=refusal)

    async def form(self) -> dict[str, str]:
        """The fields of a form that one of our pages sent. Raises `FormNotOurs` and `MalformedRequest`."""
        try:
            text = (await self.request.body()).decode()
            fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=20, errors="strict"))
        except ValueError as error:
            raise MalformedRequest("The form cannot be read.") from error
        secret = self._form_secret()
        given = fields.pop("form_token", "")
        if secret is None or not hmac.compare_digest(given.encode(), _token_of(secret).encode()):
            raise FormNotOurs
        if self.request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise FormNotOurs
        return fields

    def set_cookie(self, response: Response, name: str, value: str) -> None:
        """A cookie that scripts cannot read and other sites cannot send."""
        response.set_cookie(
            name,
            value,
            max_age=_DAY_S,
            httponly=True,
            samesite="strict",
            secure=not self.institution.settings.is_sandbox,
        )

    def _form_secret(self) -> str | None:
        """What the forms' token is made of: the session, or before it a cookie of the visit."""
        cookies = self.request.cookies
        return cookies.get(self.session_cookie) or cookies.get(self._visit_cookie)


def make_templates() -> Environment:
    """The templates: everything is escaped, and a misspelt name is an error."""
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _token_of(secret: str) -> str:
    return hashlib.sha256(b"florin form token\n" + secret.encode("utf-8", "surrogatepass")).hexdigest()
