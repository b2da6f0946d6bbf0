"""How long it takes to take on enrolments, and to look at every learner's programs."""
