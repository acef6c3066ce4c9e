"""The .thr file: a compressed network on disk. docs/format.md specifies it.

A file is a magic number, the version and sections, each with its own checksum: one for the network
as a whole, one for each layer. Each layer has the coder that its writer chose:

``packed``
    Codes and gaps at fixed widths: what the engine's memories hold.
``huffman``
    The same entries, with codewords of their own lengths (Han et al. 2016, section 4).
``arithmetic``
    The matrix of codes and the biases by `sw.coding.arithmetic`: the smallest for most layers.
``smallest``
    For a writer: for each layer, the one of these that takes fewest bytes.
"""

from .file import MAGIC, VERSION, coders, encode, from_bytes, read, to_bytes, write, write_file
from .layer import CODERS, Storage, storage

__all__ = [
    "CODERS",
    "MAGIC",
    "VERSION",
    "Storage",
    "coders",
    "encode",
    "from_bytes",
    "read",
    "storage",
    "to_bytes",
    "write",
    "write_file",
]
