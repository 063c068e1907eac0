"""What a run says: report, dashboard, recommend, export."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from sweeper.commands.request import STORAGE, RunArgument, StorageOption, find_run, one_line, refuse, writing


def report(
    run: Annotated[
        list[str], typer.Argument(metavar="RUN", help="As elsewhere; several runs are compared on one page.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", metavar="FILE", help="The HTML file; default: report.html of the run, of several runs here."
        ),
    ] = None,
    static: Annotated[
        Path | None,
        typer.Option("--static", metavar="DIR", help="Write the figures too, as SVG and PDF; needs Chrome."),
    ] = None,
    storage: StorageOption = STORAGE,
) -> None:
    """Write the report of runs, finished or not: one HTML file that needs no network.

    Example: sweeper report digits-cpu-1f2e3d4c -o digits.html
    """
    paths = [find_run(each, storage) for each in run]
    if static is not None:
        from analysis.static import write_figures

        with one_line(), writing(static):
            write_figures(paths, static)
        print(static)
    print(write_report_of(*paths, out=out))


def dashboard(
    run: RunArgument,
    port: Annotated[
        int,
        typer.Option("--port", min=1, max=65535, metavar="N", help="Where it listens, on this machine only."),
    ] = 8080,
    storage: StorageOption = STORAGE,
) -> None:
    """Show a run in optuna-dashboard as it goes: trials, collapse, posterior of S*, verdict. Ctrl-C ends it.

    It only reads the run, which may be running or finished.

    Example: sweeper dashboard digits-cpu-1f2e3d4c --port 8081
    """
    path = find_run(run, storage)
    if find_spec("optuna_dashboard") is None:
        refuse("the dashboard needs optuna-dashboard: pip install 'sweeper[dashboard]'")
    from sweeper.commands.dashboard import serve

    serve(path, port)


def recommend(
    run: RunArgument,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, metavar="B", help="To train with.")],
    momentum: Annotated[
        float | None, typer.Option("--momentum", metavar="M", help="To train with; default: the sweep's.")
    ] = None,
    storage: StorageOption = STORAGE,
) -> None:
    """Print the learning rate at S* for a batch size, with its interval and the gain to expect.

    Example: sweeper recommend digits-cpu-1f2e3d4c --batch-size 256
    """
    path = find_run(run, storage)
    from analysis.recommend import recommend_info
    from sweeper.commands import console

    with one_line():
        found = recommend_info(path, batch_size, momentum)
    console.show_recommendation(found)


def export(
    run: RunArgument,
    format_: Annotated[str, typer.Option("--format", metavar="csv|parquet|json", help="Of the table.")],
    out: Annotated[
        Path | None, typer.Option("-o", metavar="FILE", help="Where to write it; default: standard output.")
    ] = None,
    storage: StorageOption = STORAGE,
    table: Annotated[
        str, typer.Option("--table", metavar="records|measurements", help="Which rows.")
    ] = "records",
) -> None:
    """Write the merge records of a run as one table, a row per merge and evaluation; or its further measurements.

    Example: sweeper export digits-cpu-1f2e3d4c --format parquet -o digits.parquet
    """
    from sweeper.commands.export import FORMATS, TABLES

    if table not in TABLES:
        refuse(f'--table "{table}": choose from {", ".join(TABLES)}')

    if format_ not in FORMATS:
        refuse(f'--format "{format_}": choose from {", ".join(FORMATS)}')
    if format_ == "parquet" and out is None and sys.stdout.isatty():
        refuse("--format parquet is not for a terminal: name a file with -o")
    path = find_run(run, storage)
    content = FORMATS[format_](TABLES[table](path))
    if out is None:
        sys.stdout.buffer.write(content)
        return
    with writing(out):
        out.write_bytes(content)


def write_report_of(*paths: str, out: Path | None = None) -> Path:
    """Write the report of runs and return its path: `out`, or the run's folder, or here if that is no single place.

    Raises:
        WrongRequest: if it can't be written there.
    """
    from analysis.report import write_report
    from sweeper.store import Storage

    if out is None and len(paths) > 1:
        out = Path("report.html")
    elif out is None:
        place = Storage(paths[0])
        run = Path(place.root)
        out = run / "report.html" if place.local else Path(f"{run.name}.html")
    with writing(out):
        return write_report(paths, out)
