"""Benches of the blocks of the engine, each with the block's reference."""
