"""The command line: one verb per command. Exit status 0: done; 1: the sweep failed; 2: the request was wrong.

Nothing heavy is imported until a command needs it, so that `sweeper --help` answers at once.
"""

import sys
from collections.abc import Iterator, Sequence

import typer

from sweeper.commands import cluster, measure, recipes, results, serve, sweeps, upkeep

REQUEST_ERRORS = {
    "analysis.reading": "RunError",
    "search_spaces.recipe": "RecipeError",
    "sweeper.data.task": "DataError",
    "sweeper.store.files": "StorageError",
    "sweeper.tuning.cluster": "ClusterError",
}
"""Module → its exception that tells, in one line, what is wrong with a request."""

INTERRUPTED = 130
"""What typer makes of Ctrl-C outside of a sweep, which drains."""

app = typer.Typer(
    name="sweeper",
    help="Find the training noise at which independently trained networks merge best.",
    epilog="Start with: sweeper run digits --scale smoke",
    add_completion=False,
)
for command in (
    recipes.list_recipes,
    recipes.plan,
    sweeps.run,
    sweeps.resume,
    sweeps.status,
    sweeps.stop,
    measure.measure,
    cluster.submit,
    results.report,
    results.dashboard,
    results.recommend,
    results.export,
    upkeep.doctor,
    upkeep.gc,
    serve.serve,
):
    app.command(command.__name__.removesuffix("_recipes"))(command)


def main() -> None:
    """Run the command that the process was started with, and exit."""
    sys.exit(execute(sys.argv[1:]))


def execute(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; a wrong request is told in one line."""
    try:
        status = typer.main.get_command(app).main(
            list(_one_value_each(arguments)) or ["--help"], prog_name="sweeper", standalone_mode=False
        )
    except typer.TyperException as error:
        return _refuse(error.format_message(), error.exit_code)
    except _request_errors() as error:
        return _refuse(str(error), 2)
    return _refuse("interrupted", status) if status == INTERRUPTED else status or 0


def _one_value_each(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments with `--set a=1 b=2` written as `--set a=1 --set b=2`."""
    setting = False
    for position, argument in enumerate(arguments):
        follows_flag = position > 0 and arguments[position - 1] == "--set"
        setting = follows_flag or (setting and "=" in argument and not argument.startswith("-"))
        if setting and not follows_flag:
            yield "--set"
        yield argument


def _request_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of those modules that are loaded; others can't have raised one."""
    loaded = [(sys.modules.get(module), name) for module, name in REQUEST_ERRORS.items()]
    return tuple(getattr(module, name) for module, name in loaded if module is not None)


def _refuse(message: str, status: int) -> int:
    print("error:", " ".join(message.split()), file=sys.stderr)
    return status
