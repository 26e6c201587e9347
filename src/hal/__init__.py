"""A reproduction of *Hierarchical Auxiliary Learning* (Cha, Kim and Lee, 2019), from data to report."""

__version__ = "0.1.0"
