"""Traces by OpenTelemetry and metrics by Prometheus, with the pattern of the route as the label.

pip install opentelemetry-instrumentation-asgi opentelemetry-sdk prometheus-client
asgiserve examples.observed:app
curl http://127.0.0.1:8000/users/12; curl http://127.0.0.1:8000/metrics

Spans go to the standard output here. An OTLPSpanExporter in a BatchSpanProcessor sends them to a collector.
"""

import time

from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from prometheus_client import Histogram, make_asgi_app

from asgiweb import Application, Handler, HTTPNotFound, Request, Response, json_response
from asgiweb.asgi import Receive, Scope, Send
from asgiweb.middleware import RequestId, request_id

USERS = {12: "Ada", 13: "Grace"}

DURATION = Histogram(
    "http_request_duration_seconds", "From request to response.", ["method", "route", "status"]
)

provider = TracerProvider(resource=Resource({"service.name": "observed"}))
provider.add_span_processor(
    SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.to_json(indent=None) + "\n"))
)
tracer = provider.get_tracer("examples.observed")


async def observe(request: Request[None], handler: Handler) -> Response:
    """Name span and metric by the route's pattern: there are few, whatever clients ask for."""
    method, route = "(other)", "(none)"
    if request.route is not None:
        method, route = request.method, request.route.path
    span = trace.get_current_span()
    span.update_name(f"{method} {route}")
    span.set_attribute("http.route", route)
    begun = time.perf_counter()
    response = await handler(request)
    DURATION.labels(method, route, str(response.status)).observe(time.perf_counter() - begun)
    return response


application = Application[None](middlewares=[RequestId(), observe])


@application.get("/users/{id:int}")
async def user(request: Request[None], id: int) -> Response:
    with tracer.start_as_current_span("load user"):
        name = USERS.get(id)
    if name is None:
        raise HTTPNotFound(f"no user {id}")
    return json_response({"name": name, "request": request_id(request)})


@application.get("/fault")
async def fault(request: Request[None]) -> Response:
    raise RuntimeError("this is what a fault looks like")


traced = OpenTelemetryMiddleware(application, tracer_provider=provider, exclude_spans=["receive", "send"])
metrics = make_asgi_app()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer scrapes beside the application, so that they are neither traced nor measured."""
    scraped = scope["type"] == "http" and scope["path"].partition("/metrics")[:2] == ("", "/metrics")
    await (metrics if scraped else traced)(scope, receive, send)
