"""Stand-ins for networks, photographs, radios and processes."""
