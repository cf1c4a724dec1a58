import pytest
import torch
from torch import Tensor

from ganlab.metrics.rows import RowsMetric, mean_of, verified_features
from two_processes import on_two_ranks


class Gathered(RowsMetric):
    """Its score is what it has gathered."""

    def compute(self) -> Tensor:
        return self.gathered(1)[1]


REFERENCE = torch.zeros(2, 3)


def test_rows_keep_their_order_and_take_the_precision_of_the_reference():
    rows = torch.arange(30).view(10, 3).double().requires_grad_()
    for dtype in (torch.float32, torch.float64):
        metric = Gathered(REFERENCE.to(dtype))
        for part in rows.split(4):
            metric.update(part)
        assert torch.equal(metric.compute(), rows.detach().to(dtype))
        assert metric.compute().dtype == dtype and not metric.compute().requires_grad


@pytest.mark.parametrize("cut", [0, 3, 10])
def test_rows_of_all_ranks_are_gathered_even_if_one_has_none(cut):
    """A rank with no row never calls update here."""
    rows = torch.arange(30).view(10, 3).double()

    def gathered(rank):
        metric = Gathered(REFERENCE)
        for part in (rows[:cut], rows[cut:])[rank].split(4) if cut in (3, 10 * (1 - rank)) else ():
            metric.update(part)
        return metric.compute()

    for found in on_two_ranks(gathered):
        assert torch.equal(found, rows.float())


def test_no_row_at_all_has_a_line():
    with (
        pytest.warns(UserWarning, match="before the ``update``"),
        pytest.raises(ValueError, match="Gathered needs at least 1 generated samples, there are 0"),
    ):
        Gathered(REFERENCE).compute()


def test_wrong_features_have_a_line():
    with pytest.raises(ValueError, match="4 dimensions, those of the reference 3"):
        Gathered(REFERENCE).update(torch.zeros(5, 4))
    with pytest.raises(ValueError, match=r"torch.float32 \[2, 3, 1, 1\]"):
        Gathered(torch.zeros(2, 3, 1, 1))
    with pytest.raises(ValueError, match=r"torch.int64 \[2, 3\]"):
        verified_features(torch.zeros(2, 3, dtype=torch.int64))


@pytest.mark.parametrize("count", [1, 1024, 3000])
def test_the_mean_is_in_float64(count):
    rows = torch.rand(count, 3, generator=torch.Generator().manual_seed(0)) + 1e4
    torch.testing.assert_close(mean_of(rows), rows.double().mean(0), rtol=1e-14, atol=0)
