"""Where the bits of a .thr file go: the account, its pictures, and both as one HTML page."""
