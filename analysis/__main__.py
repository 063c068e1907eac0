"""`python -m analysis RUN… [-o FILE]`: write the report of runs, without torch or Ray."""

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Write the report and print its path; return 2 with one line on standard error if there is no such run."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Write the HTML report of runs.")
    parser.add_argument("run", metavar="RUN", nargs="+", help="path or URL; several are compared")
    parser.add_argument("-o", "--output", metavar="FILE", default="report.html", help="default: report.html")
    options = parser.parse_args(arguments)
    from analysis.report import write_report

    try:
        print(write_report(options.run, options.output))
    except (ValueError, OSError) as error:
        print(f"python -m analysis: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
