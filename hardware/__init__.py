"""Real and virtual radios (interpreter: the distribution's python3)."""
