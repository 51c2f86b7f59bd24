"""The networks, each behind a plain interface: image encoder, mask decoder, text encoder, diffusion model, adapters.

In: pixels, points, words. Out: features, masks, embeddings, pictures.
Imports: `privsc.images`, `privsc.knowledge`, `privsc.errors`. Not the modules that use them.
"""
