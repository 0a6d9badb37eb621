"""The cloud's control planes in one program: tokens, Data Factory, Azure ML, Power BI."""

from importlib import import_module

from include.standin.home import Home
from include.standin.serving import Service, create_app
from include.standin.serving import run as serve

SERVICES = ("entra", "data_factory", "machine_learning", "power_bi")


def services(home: Home) -> list[Service]:
    """The services, made but not started."""
    return [import_module(f"include.standin.{name}").create(home) for name in SERVICES]


def run(home: Home) -> None:
    """Serve them until SIGTERM. Blocks."""
    serve(create_app(home, *services(home)), home, home.port("cloud"))
