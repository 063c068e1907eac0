"""The posterior over humps of gain against log10 S, how it is sampled, and two checks that don't share its model."""
