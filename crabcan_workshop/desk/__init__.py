"""What a learner has before them: a workspace, the commands, the check's answer."""
