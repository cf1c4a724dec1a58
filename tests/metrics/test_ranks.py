"""Every row is someone's, each once, and comes back in its place, however many share the work."""

import pytest
import torch

from ganlab.metrics.ranks import Ranks
from two_processes import on_two_ranks


@pytest.mark.parametrize("count", [1, 2, 7, 8])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_all_have_as_many_rows_and_together_all_of_them(count, size):
    rows = [Ranks(rank, size).rows(count) for rank in range(size)]
    assert len({len(own) for own in rows}) == 1
    assert torch.stack(rows, dim=1).flatten()[:count].tolist() == list(range(count))
    assert max(int(own.max()) for own in rows) == count - 1


@pytest.mark.parametrize("count", [1, 5, 6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_two_processes_gather_the_rows_in_order_and_without_the_stand_ins(count, dtype):
    whole = torch.arange(count * 6, dtype=dtype).view(count, 2, 3)

    def share(rank):
        ranks = Ranks(rank, 2)
        return ranks.gather(whole[ranks.rows(count)], count).tolist()

    assert on_two_ranks(share) == [whole.tolist(), whole.tolist()]
    assert Ranks().gather(whole, count).equal(whole)
