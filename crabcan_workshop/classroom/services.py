"""What the Hub runs beside the learners' servers. One more: a dictionary more.

name, port (of 127.0.0.1), module (run as python -m does), scopes (what its token may), user (the
account that it runs as; root where there is none), learners (whether they come in, too).
"""
SERVICES = [{"name": "teacher", "port": 8090, "module": "crabcan_workshop.teacher.hub"}]
