import torch

from helpers.models import Decoder, Encoder, LeNet

IMAGES = torch.linspace(0, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)


def test_lenet_has_the_documents_keys_and_shapes():
    assert {key: tuple(value.shape) for key, value in LeNet().state_dict().items()} == {
        "conv1.weight": (6, 3, 5, 5),
        "conv1.bias": (6,),
        "conv2.weight": (16, 6, 5, 5),
        "conv2.bias": (16,),
        "fc1.weight": (120, 400),
        "fc1.bias": (120,),
        "fc2.weight": (84, 120),
        "fc2.bias": (84,),
        "fc3.weight": (10, 84),
        "fc3.bias": (10,),
    }


def test_lenet_has_the_documents_attributes():
    names = [name for name, _ in LeNet().named_children()]
    assert names == ["conv1", "pool", "conv2", "fc1", "fc2", "fc3"]


def test_lenet_has_62006_parameters():
    assert sum(parameter.numel() for parameter in LeNet().parameters()) == 62_006


def test_lenet_returns_a_logit_for_each_digit():
    logits = LeNet()(IMAGES)
    assert logits.shape == (2, 10)
    assert (logits < 0).any()  # logits, not probabilities


def test_an_image_comes_back_from_its_code_in_its_shape():
    codes = Encoder()(IMAGES)
    assert codes.shape == (2, 16)
    assert Decoder()(codes).shape == IMAGES.shape


def test_a_decoded_image_has_values_from_0_to_1():
    images = Decoder()(torch.linspace(-1000, 1000, 4 * 16).view(4, 16))
    assert images.min() >= 0
    assert images.max() <= 1


def test_every_parameter_takes_part():
    autoencoder = torch.nn.Sequential(Encoder(), Decoder())
    for model in (LeNet(), autoencoder):
        model(IMAGES).sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
