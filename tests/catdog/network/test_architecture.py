import pytest

from catdog.network.architecture import Architecture


def test_the_papers_network_has_the_papers_number_of_parameters() -> None:
    assert Architecture(1000, head="classic").parameters == 138_357_544


def test_the_papers_head_for_two_classes_counts_134_million() -> None:
    assert Architecture(2, head="classic").parameters == 134_268_738


def test_the_backbone_counts_14_7_million() -> None:
    assert sum(layer.parameters for layer in Architecture(2).backbone_layers) == 14_714_688


def test_the_pooled_head_is_one_layer_on_512_features() -> None:
    network = Architecture(3)

    assert network.features == 512
    assert [layer.kernel_shape for layer in network.head_layers] == [(512, 3)]


def test_the_width_multiplies_every_channel_count() -> None:
    slim = Architecture(2, width=0.25)

    assert [layer.kernel_shape[-1] for layer in slim.backbone_layers] == [16] * 2 + [32] * 2 + [64] * 3 + [128] * 6
    assert slim.features == 128


def test_the_papers_convolutions_are_15_3_billion_multiply_adds() -> None:
    assert round(Architecture(2).multiply_adds / 1e9, 1) == 15.3
    assert Architecture(2).multiply_adds > 15 * Architecture(2, width=0.25).multiply_adds


def test_channels_can_be_set_for_each_convolution() -> None:
    channels = (4, 5, 6, 7, 8, 8, 8, 9, 9, 9, 10, 11, 12)

    set_one_by_one = Architecture(2, width=0.1, channels=channels)

    assert tuple(layer.bias_shape[0] for layer in set_one_by_one.backbone_layers) == channels
    assert set_one_by_one.features == 12
    assert set_one_by_one.shapes["block1_conv2/kernel"] == (3, 3, 4, 5)


@pytest.mark.parametrize("channels", [(4,), (0,) * 13])
def test_channels_that_are_no_network_are_refused(channels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="channels must be 13 numbers from 1"):
        Architecture(2, channels=channels)


def test_every_layer_takes_what_the_one_before_it_gives() -> None:
    channels = 3
    for layer in Architecture(2, width=0.1).backbone_layers:
        assert layer.kernel_shape[:3] == (3, 3, channels)
        channels = layer.kernel_shape[-1]


def test_arrays_are_named_by_layer_in_the_networks_order() -> None:
    names = list(Architecture(2).shapes)

    assert names[:3] == ["block1_conv1/kernel", "block1_conv1/bias", "block1_conv2/kernel"]
    assert names[-2:] == ["predictions/kernel", "predictions/bias"]


@pytest.mark.parametrize("width", [0, -1, 1.01])
def test_a_width_outside_0_to_1_is_refused(width: float) -> None:
    with pytest.raises(ValueError, match="width"):
        Architecture(2, width=width)


def test_a_single_class_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two classes"):
        Architecture(1)
