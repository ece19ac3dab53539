"""One machine for a room of people: `workshop class`."""
