"""Images, entities and bytes: the models side of the chain (interpreter: .venv)."""
