"""How good it is: guard and recovery on photographs that nobody trained on, and baselines on the same channel.

In: photographs, K. Out: figures with intervals, pages of pictures.
Imports: everything that runs. Nothing that runs imports it.
"""
