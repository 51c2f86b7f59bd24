"""Blocks that handle pictures: source, guard, assembler, recovery, sink, report."""
