"""Data sets: fetch the official files, check them, decode them into one .npz each."""
