"""The room in which a learner's code runs, and whoever looks into it from outside."""
