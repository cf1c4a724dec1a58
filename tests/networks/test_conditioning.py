import torch

from ganlab.networks.conditioning import join_features, join_planes


def test_features_and_conditions_lie_side_by_side():
    features, conditions = torch.randn(3, 4), torch.eye(3)
    joined = join_features(features, conditions)
    assert torch.equal(joined[:, :4], features)
    assert torch.equal(joined[:, 4:], conditions)


def test_each_condition_is_a_constant_plane_of_its_own():
    images = torch.randn(3, 2, 5, 6)
    conditions = torch.tensor([[0.0, 1.0, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    joined = join_planes(images, conditions)
    assert joined.shape == (3, 6, 5, 6)
    assert torch.equal(joined[:, :2], images)
    for image in range(3):
        for condition in range(4):
            plane = joined[image, 2 + condition]
            assert plane.unique().tolist() == [conditions[image, condition].item()]


def test_without_conditions_nothing_is_added_or_copied():
    features, images = torch.randn(3, 4), torch.randn(3, 2, 5, 6)
    assert join_features(features, None) is features
    assert join_planes(images, None) is images


def test_conditions_take_the_type_of_what_they_join():
    conditions = torch.eye(2)
    assert join_features(torch.zeros(2, 1, dtype=torch.float64), conditions).dtype == torch.float64
    assert join_planes(torch.zeros(2, 1, 4, 4, dtype=torch.bfloat16), conditions).dtype == torch.bfloat16
