"""Benches of exports, which know no more of them than the files of the exported folder."""
