from ganlab.data.hashing import stable_seed, stable_share


def test_numbers_are_the_same_everywhere():
    """Written down once: another version or machine must not shuffle or split the data in another way."""
    assert stable_seed("order", 0, 0) == 4876581156571347824
    assert stable_share("a/b.png") == 0.8988490094723325


def test_every_part_counts_and_seeds_fit_a_generator():
    seeds = {stable_seed("order", seed, epoch) for seed in range(30) for epoch in range(30)}
    assert len(seeds) == 900
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert stable_seed("ab", "c") != stable_seed("a", "bc")
    assert stable_seed(1) != stable_seed("1")


def test_shares_are_uniform():
    shares = [stable_share(f"{number:06d}.jpg") for number in range(4000)]
    assert all(0 <= share < 1 for share in shares)
    for edge in (0.1, 0.5, 0.9):
        assert abs(sum(share < edge for share in shares) / 4000 - edge) < 0.03
