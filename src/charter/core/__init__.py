"""Records, recipes, the run's folder: what every other part stands on."""
