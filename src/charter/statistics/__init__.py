"""Pure functions on numbers: intervals, ratings, calibration, agreement, text measures (numpy and scipy alone)."""
