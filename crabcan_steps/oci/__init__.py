"""Chapter 10's room: what the OCI's specification asks of a runtime beyond the nine chapters."""
