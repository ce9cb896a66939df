"""`make bench`: what networks cost, beside what their peers cost."""
