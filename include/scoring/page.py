"""The page for people: enter values or a CSV file, see scores, anomalies and a plot, answer to an anomaly.

Everything comes from this server: the page works while the site has no link to anywhere.
"""

from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from include.domain.contract import Contract, Input
from include.domain.events import LABELS
from include.scoring.service import Service

STATIC = Path(__file__).parent / "static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes(service: Service) -> list[Route]:
    """GET / and the two files that it loads."""
    html = render(service.model.contract, service.settings.site)
    script, style = (STATIC / "scorer.js").read_bytes(), (STATIC / "scorer.css").read_bytes()

    def serve(content: str | bytes, media_type: str) -> Route:
        async def answer(_: Request) -> Response:
            return Response(content, media_type=media_type, headers=HEADERS)

        return Route({"text/html": "/", "text/javascript": "/static/scorer.js"}.get(media_type, "/static/scorer.css"), answer)

    return [serve(html, "text/html"), serve(script, "text/javascript"), serve(style, "text/css")]


def render(contract: Contract, site: str) -> str:
    """The page's HTML. The form has a field for each input, one for the time and one for what was measured."""
    target = contract.target
    fields = [
        *map(_field, contract.inputs),
        _number(Input(target.name, "number", target.unit)),
        '<label>time <input name="time" type="datetime-local" step="1" data-kind="time"></label>',
    ]
    return Template((STATIC / "index.html").read_text(encoding="utf-8")).substitute(
        workload=escape(contract.workload.replace("_", " ")),
        site=escape(site or "this site"),
        digest=escape(contract.model_digest[:19]),
        trained_on=escape(contract.trained_on),
        target=escape(target.name),
        unit=escape(target.unit or ""),
        threshold=escape(f"{-contract.anomaly.below:g} {contract.anomaly.unit or ''}".strip()),
        fields="\n      ".join(fields),
        columns=escape(", ".join([*(column.name for column in contract.inputs), target.name, "time"])),
        labels="".join(f'<option value="{label}">{label.replace("_", " ")}</option>' for label in LABELS),
    )


def _field(column: Input) -> str:
    return _choice(column) if column.type == "category" else _number(column)


def _choice(column: Input) -> str:
    options = "".join(f"<option>{escape(value)}</option>" for value in column.values)
    empty = "" if column.required else '<option value=""></option>'
    return f'<label>{escape(column.name)} <select name="{escape(column.name)}" data-kind="category">{empty}{options}</select></label>'


def _number(column: Input) -> str:
    bounds = "".join(f' {name}="{value:g}"' for name, value in (("min", column.minimum), ("max", column.maximum)) if value is not None)
    required = " required" if column.required else ""
    unit = f" ({escape(column.unit)})" if column.unit else ""
    name = escape(column.name)
    return f'<label>{name}{unit} <input name="{name}" type="number" step="any" data-kind="number"{bounds}{required}></label>'
