"""Results of adaptation runs: recorded by the loop, read, compared and reported."""
