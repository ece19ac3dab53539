"""Suites of tests that others wrote, each fetched and built as its authors say."""
