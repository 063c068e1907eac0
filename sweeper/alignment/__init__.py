"""Alignment: the permutations of a network's units that bring it nearest to another, and what they leave as it was."""

from sweeper.alignment.architectures import SPECS, permutation_spec
from sweeper.alignment.function import check_same_function
from sweeper.alignment.learned import learned_matching
from sweeper.alignment.matching import weight_matching
from sweeper.alignment.spec import AlignmentError, Permutations, PermutationSpec, permute

__all__ = [
    "SPECS",
    "AlignmentError",
    "PermutationSpec",
    "Permutations",
    "check_same_function",
    "learned_matching",
    "permutation_spec",
    "permute",
    "weight_matching",
]
