"""A bundle's cgroups: where they are (tree), what is set in them (limits, devices), who is in them.

Between the commands they are a dict, which the container's state keeps as JSON:

    version   1 or 2
    paths     controller -> directory. "" is version 2's tree, which some hosts have beside version 1
    made      the directories that create has made, the upper ones first
    unit      the systemd unit that they belong to, or None; `user` tells whose systemd has it
    rules     whether rules about devices are ours to set (not so in a user namespace)
"""
