"""`privsc radio …`: real radios and the virtual one."""
