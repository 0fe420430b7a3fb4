"""The program: its commands, and how their mistakes and interruptions end."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from synthproxy import __version__
from synthproxy.cli import catalogue, corpora, listening, matching, proxies, ranking, sounds
from synthproxy.cli.options import EXIT_INTERRUPTED, EXIT_MISTAKE
from synthproxy.errors import SynthProxyError

app = App(
    name="synthproxy",
    help="Neural proxies for software synthesizers: learn what presets sound like, and find the preset for a sound.",
    version=__version__,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)

for _command in (
    *(matching.demo, catalogue.synths, catalogue.audio_models, catalogue.proxies, sounds.inspect, sounds.render),
    *(sounds.convert, sounds.embed, sounds.distance, corpora.generate, corpora.import_, corpora.bank, corpora.merge),
    *(proxies.train, proxies.tune, proxies.evaluate, proxies.report, ranking.rank_audio_models),
    *(matching.match, matching.collect, listening.listen),
):
    app.command(_command, name=_command.__name__.rstrip("_").replace("_", "-"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake ends in one line on standard error and exit code 2."""
    # Ctrl-C between the making of a coroutine and its start, deep inside Zarr, leaves one that nobody awaits.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except (SynthProxyError, CycloptsError) as error:
        print(f"synthproxy: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)
    except KeyboardInterrupt:
        logging.disable()  # Reads and writes of Zarr that are given up in their middle would tell of it at exit.
        print("synthproxy: interrupted; what is finished is kept, the same command continues", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
