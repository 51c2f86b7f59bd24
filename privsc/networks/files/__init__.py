"""The networks' files: which ship, which can be downloaded, and whether they are intact.

In: names. Out: paths that were checked.
Imports: `privsc.files`, `privsc.errors`.
"""
