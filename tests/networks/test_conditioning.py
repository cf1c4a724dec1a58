import torch

from ganlab.networks.conditioning import EmbeddedPlane, Projection, join_features, join_planes


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


@torch.no_grad()
def test_an_embedded_plane_is_the_weighted_sum_of_the_conditions_planes():
    torch.manual_seed(0)
    images, conditions = torch.randn(2, 3, 4, 4), torch.tensor([[0.0, 1.0, 0.0], [2.0, -1.0, 0.5]])
    embedded = EmbeddedPlane(3, 4)
    joined = embedded(images, conditions)
    assert joined.shape == (2, 4, 4, 4)
    assert torch.equal(joined[:, :3], images)
    planes = embedded.planes.reshape(3, 4, 4)  # one a condition, in reading order
    torch.testing.assert_close(joined[0, 3], planes[1])
    torch.testing.assert_close(joined[1, 3], 2 * planes[0] - planes[1] + 0.5 * planes[2])
    assert torch.equal(embedded(images, torch.zeros(2, 3))[:, 3], torch.zeros(2, 4, 4))


def test_a_class_plane_begins_as_large_as_pixels():
    torch.manual_seed(0)
    planes = EmbeddedPlane(5, 16).planes
    assert abs(planes.std().item() - 1) < 5 / (2 * planes.numel()) ** 0.5


@torch.no_grad()
def test_a_projection_is_the_inner_product_of_features_and_embedded_condition():
    projection = Projection(2, 3)
    projection.map.weight.copy_(torch.tensor([[1.0, 0.0], [2.0, -1.0], [0.0, 3.0]]))
    features = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.5, 0.0, -1.0]])
    conditions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.5]])
    # V y is (1, 2, 0), (0, -1, 3) and (2, 3.5, 1.5).
    assert projection(features, conditions).tolist() == [5.0, 7.0, -0.5]
    assert projection(features, torch.zeros(3, 2)).tolist() == [0.0, 0.0, 0.0]


def test_learnt_maps_take_the_type_of_what_they_join():
    conditions = torch.eye(2)
    assert EmbeddedPlane(2, 4).double()(torch.zeros(2, 1, 4, 4).double(), conditions).dtype == torch.float64
    assert Projection(2, 3).double()(torch.zeros(2, 3).double(), conditions).dtype == torch.float64
