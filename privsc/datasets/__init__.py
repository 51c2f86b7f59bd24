"""Collections of photographs: subjects, pets, and those that come along.

In: a folder. Out: photographs, names, class words.
Imports: `privsc.images`, `privsc.errors`.
"""
