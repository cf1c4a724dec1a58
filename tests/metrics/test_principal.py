import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from ganlab.metrics.principal import PrincipalComponents


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(3)
    mixing = torch.randn(12, 12, generator=generator)
    drawn = torch.randn(90, 12, generator=generator) @ mixing + 5
    return drawn[:60].unflatten(1, (1, 3, 4)), drawn[60:].unflatten(1, (1, 3, 4))


@pytest.mark.parametrize("components", [1, 4, 11])
def test_errors_and_directions_are_those_of_scikit_learn(samples, components):
    train, test = samples
    other = PCA(components).fit(train.flatten(1).double().numpy())
    there_and_back = other.inverse_transform(other.transform(test.flatten(1).double().numpy()))
    ours = PrincipalComponents(train.split(7), components)
    expected = np.square(there_and_back - test.flatten(1).numpy()).mean(1)
    assert ours.squared_errors(test).numpy() == pytest.approx(expected, rel=1e-6)
    cosines = np.abs(np.sum(other.components_.T * ours.directions.numpy(), axis=0))
    assert cosines == pytest.approx(np.ones(components), abs=1e-8)


def test_with_all_components_nothing_is_left(samples):
    train, test = samples
    assert PrincipalComponents([train], 50).squared_errors(test).max() < 1e-18
