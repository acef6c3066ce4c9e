"""Benches of the blocks of a processing element, each with the block's reference."""
