"""At a line: a folder that is watched, a service, and whether the photographs still look like those of training."""
