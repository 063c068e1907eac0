"""What a worker and the driver tell each other through Tune: columns of a result, and of a trial's config."""

METRIC = "objective"
DRAINED = "drained"
"""The trial ended because the sweep stops; it goes on when the sweep is resumed."""
PROBLEM = "problem"
"""Why the sweep has to stop: what this trial met, all others would meet too."""
OUT_OF_MEMORY = "out_of_memory"
"""In a result: what a trial that ran out of memory said. In the config of one that was killed for it: it is not to run
again beside others, and ends at once with that result."""
SUGGESTED = "suggested"
"""In a trial's config: the point it runs."""
WAIT = "wait_seconds"
"""In a trial's config: how long its next attempt waits before it starts."""
