"""The contracts are proven row by row: a row of a matrix for which there is no test fails here."""

from tests.contract import test_grants, test_iwlz, test_iwlz_network, test_nuts  # noqa: F401 - each says what it proves
from tests.contract.proofs import PROVEN, ROWS
from tests.scenarios import test_presentations  # noqa: F401 - so does this one


def test_every_row_of_the_negative_matrix_and_every_check_of_a_presentation_is_proven() -> None:
    assert sorted(ROWS - PROVEN) == []
