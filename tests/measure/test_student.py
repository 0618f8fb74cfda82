"""Student's t distribution against scipy's."""

import pytest
from scipy.special import stdtrit

from anomaly.measure import student


@pytest.mark.parametrize("freedom", [1, 2, 3, 10, 29, 199, 4999])
@pytest.mark.parametrize("rate", [0.49, 0.3, 0.05, 0.01, 0.001, 1e-6, 1e-12, 1e-30])
def test_quantiles(freedom, rate):
    assert student.upper(rate, freedom) == pytest.approx(-stdtrit(freedom, rate), rel=1e-10)
