"""Coding of a layer's numbers as bytes; docs/format.md specifies all of it.

`bits` packs numbers of a fixed width, `entries` turns a sparse matrix of codes into codes and gaps,
`huffman` gives both codewords of their own lengths, and `arithmetic` codes the matrix as a whole by
probabilities that it learns on the way. Whatever is unsound in bytes raises ValueError.
"""
