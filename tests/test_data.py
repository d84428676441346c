import pytest
import torch

from helpers.data import batches, digits


@pytest.fixture(scope="module")
def split():
    return digits()


def test_there_are_1437_images_to_train_on_and_360_to_test_on(split):
    train, test = split
    assert (len(train), len(test)) == (1437, 360)


def test_an_item_is_a_colour_image_and_its_label(split):
    for dataset in split:
        image, label = dataset[0]
        assert (image.shape, image.dtype) == ((3, 32, 32), torch.float32)
        assert (label.shape, label.dtype) == ((), torch.int64)


def test_values_go_from_0_to_1_and_labels_from_0_to_9(split):
    for dataset in split:
        images, labels = dataset.tensors
        assert (images.min(), images.max()) == (0, 1)
        assert labels.unique().tolist() == list(range(10))


def test_the_three_channels_are_the_same_grey(split):
    images = split[0].tensors[0]
    assert torch.equal(images[:, 0], images[:, 1])
    assert torch.equal(images[:, 0], images[:, 2])


def test_no_image_is_in_both_parts(split):
    train, test = ({image.numpy().tobytes() for image, _ in dataset} for dataset in split)
    assert len(train) == 1437
    assert not train & test


def test_the_split_is_the_same_whatever_the_random_state(split):
    torch.manual_seed(123)
    for before, now in zip(split, digits(), strict=True):
        for a, b in zip(before.tensors, now.tensors, strict=True):
            assert torch.equal(a, b)


def test_an_epoch_contains_every_item_once(split):
    train = split[0]
    images, labels = map(torch.cat, zip(*batches(train, 0), strict=True))
    wanted = {image.numpy().tobytes(): label for image, label in train}
    seen = {i.numpy().tobytes(): label for i, label in zip(images, labels, strict=True)}
    assert len(images) == len(train)
    assert seen == wanted


def test_batches_are_full_but_for_the_last(split):
    assert [len(labels) for _, labels in batches(split[1], 0)] == [64] * 5 + [40]
    assert [len(labels) for _, labels in batches(split[1], 0, batch_size=200)] == [200, 160]


def test_only_the_epochs_number_decides_the_order(split):
    def order(epoch):
        return torch.cat([labels for _, labels in batches(split[1], epoch)]).tolist()

    seventh = order(7)
    assert order(8) != seventh
    torch.manual_seed(123)
    assert order(7) == seventh


def test_batches_and_digits_leave_the_random_state_alone(split):
    before = torch.get_rng_state()
    list(batches(split[1], 3))
    digits()
    assert torch.equal(torch.get_rng_state(), before)


def test_the_images_and_labels_are_scikit_learns():
    from sklearn.datasets import load_digits

    source = load_digits()
    order = torch.randperm(len(source.target), generator=torch.Generator().manual_seed(0))
    images = torch.cat([part.tensors[0] for part in digits()])
    labels = torch.cat([part.tensors[1] for part in digits()])
    assert labels.tolist() == source.target[order].tolist()
    grey = torch.tensor(source.images[order] / 16, dtype=torch.float32).unsqueeze(1)
    enlarged = torch.nn.functional.interpolate(grey, scale_factor=4, mode="bilinear")
    assert torch.equal(images, enlarged.repeat(1, 3, 1, 1))
