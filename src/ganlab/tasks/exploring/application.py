"""The page as an application that a server runs: nothing of it is fetched from elsewhere, or served to elsewhere."""

from typing import Any

import gradio
from fastapi import FastAPI
from starlette.middleware.trustedhost import TrustedHostMiddleware

from ganlab.tasks.exploring.explorer import Explorer
from ganlab.tasks.exploring.page import Page
from ganlab.tasks.exploring.style import FRAME, STYLE, theme
from ganlab.tasks.exploring.views import Views

POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
"""Browsers load nothing for the page but what it serves itself."""


def application(explorer: Explorer, views: Views, title: str, told: str, only_local: bool = True) -> FastAPI:
    """The page, at /.

    `only_local`: requests by another name than this machine's own are refused, so that no page of the internet can
    have its own name lead here.
    """
    page = Page(explorer, views, title, told)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Secluded)
    if only_local:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
    return gradio.mount_gradio_app(
        app,
        page.blocks,
        path="",
        theme=theme(),
        css=STYLE,
        head=FRAME,
        footer_links=[],
        ssr_mode=False,
        mcp_server=False,
        max_file_size=1,
    )


class Secluded:
    """ASGI middleware: every answer carries `POLICY`."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self.app(scope, receive, with_policy)
