"""The exercises: a workspace of the learner's, checks of what the kernel does, hints."""
