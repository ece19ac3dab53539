"""Looks at containers: what /proc says from outside, and what a probe inside can do."""
